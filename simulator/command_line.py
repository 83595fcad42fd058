"""Command-line options of `python -m simulator` and of `movierec simulate`, which starts it."""

import argparse
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from movierec import settings as product
from movierec.errors import UsageError
from movierec.model.rating_scale import RatingScale
from simulator.line_corruption import CorruptionRates
from simulator.local_clock import UTC_CLOCK, LocalClock
from simulator.settings import (
    DEFAULT_EVENTS,
    DEFAULT_RATE,
    GrowthSpec,
    LiveSpec,
    Settings,
    SiteSpec,
    WorldSpec,
    server_of,
)
from simulator.site_faults import SiteFaults, UnknownInBulk
from simulator.synthetic_world import DEFAULT_FILMS, DEFAULT_USERS, MAX_USERS

DEFAULT_PROXY: Final = "http://127.0.0.1:8082"
DEFAULT_SITE_PORT: Final = 8080
# Years are four digits in a log line, and seconds since 1970 must stay positive.
_MAX_DAYS: Final = 3650
_DAY_S: Final = 86_400


_EPILOG: Final = """\
Without --backfill it answers the user and movie APIs, asks the proxy for recommendations and
writes what the users do to Kafka, until it is stopped. Kafka's address and security come from
the environment (MOVIEREC_KAFKA_BOOTSTRAP, ...)."""


class _Parser(argparse.ArgumentParser):
    """Raises UsageError instead of leaving the process."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Say what is wrong with the arguments."""
        raise UsageError(f"{message}; see `{self.prog} --help`")


def _within(convert: Callable[[str], float], least: float, most: float) -> Callable[[str], float]:
    """Return a converter for argparse that refuses what is out of range."""

    def check(text: str) -> float:
        try:
            value = convert(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not in {least:g}..{most:,.12g}")
        return value

    return check


_SHARE: Final = _within(float, 0, 1)


def _scale(text: str) -> RatingScale:
    found = re.fullmatch(r"(\d{1,3})-(\d{1,3})", text, re.ASCII)
    if found is None or int(found[1]) >= int(found[2]):
        raise argparse.ArgumentTypeError(f"{text} is no scale such as 1-10")
    return RatingScale(int(found[1]), int(found[2]))


def _build_parser(prog: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=prog,
        description="A simulated streaming site: users with preferences, films, an event log.",
        epilog=_EPILOG,
    )
    _add_world(parser.add_argument_group("users and films"))
    _add_modes(parser.add_argument_group("what to do"))
    _add_live(parser.add_argument_group("live traffic and APIs"))
    _add_growth(parser.add_argument_group("growth: the same for all processes of a site"))
    _add_faults(parser.add_argument_group("faults of the APIs; incomplete in the exports too"))
    _add_log(parser.add_argument_group("event log"))
    _add_corruption(parser.add_argument_group("corruption, as shares of the lines"))
    return parser


def _add_world(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--users", type=_within(int, 1, MAX_USERS), metavar="N",
        help=f"users that the site opens with ({DEFAULT_USERS:,})")  # fmt: skip
    add("--movies", type=_within(int, 100, 1_000_000), metavar="N",
        help=f"films that it opens with ({DEFAULT_FILMS:,})")  # fmt: skip
    add("--seed", type=_within(int, 0, 2**63 - 1), default=1, metavar="N",
        help="another number, another site (1)")  # fmt: skip
    add("--movielens", type=Path, metavar="FOLDER", help="users, films and ratings of MovieLens")


def _add_modes(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--backfill", type=_within(float, 0.01, _MAX_DAYS), metavar="DAYS",
        help="write a history that ends now, then exit")  # fmt: skip
    add("--events", type=_within(int, 1, 1_000_000_000), default=DEFAULT_EVENTS, metavar="N",
        help="events of the history, at least")  # fmt: skip
    add("--workers", type=_within(int, 1, 64), default=2, metavar="N",
        help="processes that write the history")  # fmt: skip
    add("--live", action="store_true", help="go on with live traffic after the history")
    add("--site-only", action="store_true", help="answer the APIs; no requests, no Kafka")


def _add_live(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--proxy", metavar="URL", help=f"the recommender to ask ({DEFAULT_PROXY})")
    add("--rate", type=_within(float, 0.001, 10_000), default=DEFAULT_RATE, metavar="N",
        help="requests a second")  # fmt: skip
    add("--even", action="store_true", help="evenly spaced requests instead of Poisson's")
    add("--speedup", type=_within(float, 0.01, 100_000), default=1.0, metavar="N",
        help="watch films so many times faster")  # fmt: skip
    add("--duration", type=_within(float, 0.1, 1e9), metavar="SECONDS",
        help="of the live traffic, in seconds (until stopped)")  # fmt: skip
    add("--site-host", default="127.0.0.1", metavar="HOST",
        help="address that the APIs are answered on (127.0.0.1)")  # fmt: skip
    add("--site-port", type=_within(int, 0, 65_535), default=DEFAULT_SITE_PORT, metavar="PORT",
        help=f"port that the APIs are answered on ({DEFAULT_SITE_PORT})")  # fmt: skip
    add("--no-site", action="store_true", help="do not answer the user and movie APIs")
    add("--no-tagline", action="store_true", help="movies with 23 keys, as in 2022")
    add("--license-costs", action="store_true",
        help="movies with `cost`: USD that the site pays for each play")  # fmt: skip
    add("--described", type=_SHARE, default=0.0, metavar="SHARE",
        help="share of the users (0 to 1) with self-descriptions; others' are null")  # fmt: skip


def _add_growth(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--new-movies-per-day", type=_within(float, 0, 1e6), default=0.0, metavar="N",
        help="films that come after the site opened, per day, evenly spaced")  # fmt: skip
    add("--new-accounts", type=_SHARE, default=0.0, metavar="SHARE",
        help="share of the visits (0 to 1) by users who create their account first")  # fmt: skip
    add("--site-state", type=Path, metavar="FILE",
        help="when the site opened, and its new accounts: one file for all processes")  # fmt: skip


def _add_faults(group: argparse._ArgumentGroup) -> None:
    usual, add = SiteFaults(), group.add_argument
    add("--bulk-unknown", choices=[str(one) for one in UnknownInBulk], metavar="HOW",
        default=str(usual.unknown_in_bulk),
        help="unknown id among several: a `message` in its place, `404` in plain text for the "
        "whole request, or `omit` it (message)")  # fmt: skip
    add("--rate-limit", type=_within(int, 1, 1_000_000), metavar="N",
        help="requests in each window; more are answered 429")  # fmt: skip
    add("--rate-window", type=_within(float, 0.01, 86_400), default=usual.rate_window_s,
        metavar="SECONDS", help="the rate limit's window, in seconds (1)")  # fmt: skip
    add("--no-retry-after", action="store_true", help="429 without Retry-After")
    add("--slow-share", type=_SHARE, default=usual.slow_share, metavar="SHARE",
        help="share of the answers (0 to 1) that are slow")  # fmt: skip
    add("--slow-seconds", type=_within(float, 0, 3600), default=usual.slow_s, metavar="SECONDS",
        help="how late slow answers are, in seconds (5)")  # fmt: skip
    add("--error-share", type=_SHARE, default=usual.error_share, metavar="SHARE",
        help="share of the answers (0 to 1) that are 500, 502 or 503, no JSON")  # fmt: skip
    add("--incomplete-share", type=_SHARE, default=usual.incomplete_share, metavar="SHARE",
        help="share of documents (0 to 1) with fields missing or of other types")  # fmt: skip


def _add_log(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--bootstrap", metavar="HOST:PORT", help=f"instead of {product.KAFKA_BOOTSTRAP}")
    add("--topic", metavar="NAME", help=f"instead of {product.TOPIC} ({product.DEFAULT_TOPIC})")
    add("--partitions", type=_within(int, 1, 1000), default=2, metavar="N",
        help="of the topic, if it must be made")  # fmt: skip
    add("--ledger", type=Path, metavar="FILE", help="what was sent and answered, as JSON")
    add("--continue-ledger", action="store_true", help="add to the ledger in the file")
    add("--timezone", metavar="NAME",
        help=f"IANA zone of the lines, instead of {product.SITE_TIMEZONE} (UTC)")  # fmt: skip
    add("--clock-offset", type=_within(float, -1e6, 1e6), default=0.0, metavar="MINUTES",
        help="minutes that the site's clock is ahead; negative: behind (0)")  # fmt: skip
    add("--clock-drift", type=_within(float, -40_000, 40_000), default=0.0, metavar="SECONDS",
        help="seconds that it gains per day, from now or the history's start on (0)")  # fmt: skip
    add("--rating-scale", type=_scale, metavar="LOW-HIGH",
        help=f"stars, instead of {product.MIN_RATING} to {product.MAX_RATING} (1-5)")  # fmt: skip
    add("--max-rating", type=_within(int, 2, 10), metavar="N", help="same as --rating-scale 1-N")


def _add_corruption(group: argparse._ArgumentGroup) -> None:
    default = CorruptionRates()
    add = group.add_argument
    add("--inserted", type=_SHARE, default=default.inserted, metavar="SHARE",
        help=f"lines with a character more ({default.inserted})")  # fmt: skip
    add("--replaced-id", type=_SHARE, default=default.replaced_id, metavar="SHARE",
        help=f"lines with a random movie id ({default.replaced_id})")  # fmt: skip
    add("--bad-rating", type=_SHARE, default=default.bad_rating, metavar="SHARE",
        help=f"ratings that are none, or out of the scale ({default.bad_rating})")  # fmt: skip
    add("--duplicate", type=_SHARE, default=default.duplicate, metavar="SHARE",
        help=f"lines written twice ({default.duplicate})")  # fmt: skip
    add("--no-damage", action="store_true", help="none of these")
    add("--max-user-id", type=_within(int, 1, 10**12), metavar="N",
        help=f"of the reader, instead of {product.MAX_USER_ID} ({MAX_USERS:,})")  # fmt: skip
    add("--no-catalog", action="store_true", help="the reader has not loaded the catalog")


def parse(argv: Sequence[str], env: Mapping[str, str]) -> Settings:
    """Return what the arguments ask for. Raises UsageError; `--help` raises SystemExit.

    A command that starts the simulator passes its own name as `--prog`, for help and messages.
    """
    wrapper = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    wrapper.add_argument("--prog", default="python -m simulator")
    command, argv = wrapper.parse_known_args(argv)
    given = _build_parser(command.prog).parse_args(argv)
    _check_together(given)
    proxy = (given.proxy or env.get(product.PROXY_URL) or DEFAULT_PROXY).rstrip("/")
    wants_live = not given.site_only and (given.backfill is None or given.live)
    wants_site = not given.no_site and (given.backfill is None or given.live)
    scale, max_user_id = _reader_ranges(given, env)
    clock = _clock(given, env)
    return Settings(
        world=WorldSpec(
            given.users or DEFAULT_USERS, given.movies or DEFAULT_FILMS, given.seed, given.movielens
        ),
        site=_site(given) if wants_site else None,
        live=LiveSpec(
            proxy,
            given.rate,
            not given.even,
            given.speedup,
            given.duration,
            scale,
            clock,
            given.new_accounts,
            given.incomplete_share,
            max_user_id,
        )
        if wants_live
        else None,
        backfill_days=given.backfill,
        events=given.events,
        workers=given.workers,
        rates=_rates(given),
        max_user_id=max_user_id,
        scale=scale,
        check_catalog=not given.no_catalog,
        bootstrap=given.bootstrap,
        topic=given.topic or env.get(product.TOPIC) or product.DEFAULT_TOPIC,
        partitions=given.partitions,
        server=server_of(proxy),
        ledger=given.ledger,
        continue_ledger=given.continue_ledger,
        clock=clock,
        incomplete=given.incomplete_share,
        growth=GrowthSpec(given.new_movies_per_day, given.new_accounts, given.site_state),
    )


def _clock(given: argparse.Namespace, env: Mapping[str, str]) -> LocalClock:
    since_s = time.time() - (given.backfill or 0) * _DAY_S if given.clock_drift else 0
    zone = given.timezone or env.get(product.SITE_TIMEZONE) or UTC_CLOCK.zone
    return LocalClock.checked(zone, round(given.clock_offset * 60), given.clock_drift, int(since_s))


def _reader_ranges(given: argparse.Namespace, env: Mapping[str, str]) -> tuple[RatingScale, int]:
    """Return the rating scale and the largest user id that the lines' reader has."""
    of_maximum = RatingScale(1, given.max_rating) if given.max_rating else None
    return (
        given.rating_scale or of_maximum or RatingScale.from_env(env),
        given.max_user_id or product.whole_number(env, product.MAX_USER_ID, MAX_USERS),
    )


def _site(given: argparse.Namespace) -> SiteSpec:
    faults = SiteFaults(
        unknown_in_bulk=UnknownInBulk(given.bulk_unknown),
        rate_limit=given.rate_limit,
        rate_window_s=given.rate_window,
        retry_after=not given.no_retry_after,
        slow_share=given.slow_share,
        slow_s=given.slow_seconds,
        error_share=given.error_share,
        incomplete_share=given.incomplete_share,
    )
    return SiteSpec(
        given.site_host,
        given.site_port,
        not given.no_tagline,
        given.license_costs,
        given.described,
        faults,
    )


def _rates(given: argparse.Namespace) -> CorruptionRates:
    if given.no_damage:
        return CorruptionRates(0, 0, 0, 0)
    return CorruptionRates(given.inserted, given.replaced_id, given.bad_rating, given.duplicate)


def _check_together(given: argparse.Namespace) -> None:
    """Raise UsageError for arguments that exclude each other."""
    if given.movielens is not None and (given.users or given.movies):
        raise UsageError("--movielens brings its own users and movies: leave out --users, --movies")
    if given.site_only and (given.backfill is not None or given.no_site):
        raise UsageError("--site-only excludes --backfill and --no-site")
    if given.live and given.backfill is None:
        raise UsageError("--live belongs to --backfill; without that there is live traffic anyway")
    if given.rating_scale and given.max_rating:
        raise UsageError("--rating-scale and --max-rating say the same: leave one out")
    if given.continue_ledger and given.ledger is None:
        raise UsageError("--continue-ledger needs --ledger FILE")
    total = given.inserted + given.replaced_id + given.bad_rating + given.duplicate
    if total > 1:
        raise UsageError(
            f"corruption shares of {total:g} in sum: a line is corrupted once, so at most 1"
        )
