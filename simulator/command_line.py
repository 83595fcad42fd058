"""Command-line options of `python -m simulator` and of `movierec simulate`, which starts it."""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from movierec import settings as product
from movierec.errors import UsageError
from simulator.line_corruption import CorruptionRates
from simulator.settings import (
    DEFAULT_EVENTS,
    DEFAULT_RATE,
    LiveSpec,
    Settings,
    SiteSpec,
    WorldSpec,
    server_of,
)
from simulator.synthetic_world import DEFAULT_FILMS, DEFAULT_USERS, MAX_USERS

DEFAULT_PROXY: Final = "http://127.0.0.1:8082"
DEFAULT_SITE_PORT: Final = 8080
# Years are four digits in a log line, and seconds since 1970 must stay positive.
_MAX_DAYS: Final = 3650

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


def _build_parser(prog: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=prog,
        description="A simulated streaming site: users with preferences, films, an event log.",
        epilog=_EPILOG,
    )
    _add_world(parser.add_argument_group("users and films"))
    _add_modes(parser.add_argument_group("what to do"))
    _add_live(parser.add_argument_group("live traffic and APIs"))
    _add_log(parser.add_argument_group("event log"))
    _add_corruption(parser.add_argument_group("corruption, as shares of the lines"))
    return parser


def _add_world(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--users", type=_within(int, 1, MAX_USERS), default=None, metavar="N")
    add("--movies", type=_within(int, 100, 1_000_000), default=None, metavar="N")
    add("--seed", type=_within(int, 0, 2**63 - 1), default=1, metavar="N")
    add(
        "--movielens",
        type=Path,
        metavar="FOLDER",
        help="users, films and ratings of MovieLens",
    )


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
    add("--duration", type=_within(float, 0.1, 1e9), metavar="SECONDS")
    add("--site-host", default="127.0.0.1", metavar="HOST")
    add("--site-port", type=_within(int, 0, 65_535), default=DEFAULT_SITE_PORT, metavar="PORT")
    add("--no-site", action="store_true", help="do not answer the user and movie APIs")
    add("--no-tagline", action="store_true", help="movies with 23 keys, as in 2022")


def _add_log(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--bootstrap", metavar="HOST:PORT", help=f"instead of {product.KAFKA_BOOTSTRAP}")
    add("--topic", metavar="NAME", help=f"instead of {product.TOPIC} ({product.DEFAULT_TOPIC})")
    add("--partitions", type=_within(int, 1, 1000), default=2, metavar="N",
        help="of the topic, if it must be made")  # fmt: skip
    add("--ledger", type=Path, metavar="FILE", help="what was sent and answered, as JSON")
    add("--continue-ledger", action="store_true", help="add to the ledger in the file")


def _add_corruption(group: argparse._ArgumentGroup) -> None:
    default, share = CorruptionRates(), _within(float, 0, 1)
    add = group.add_argument
    add("--inserted", type=share, default=default.inserted, metavar="SHARE")
    add("--replaced-id", type=share, default=default.replaced_id, metavar="SHARE")
    add("--bad-rating", type=share, default=default.bad_rating, metavar="SHARE")
    add("--duplicate", type=share, default=default.duplicate, metavar="SHARE")
    add("--no-damage", action="store_true")
    add("--max-user-id", type=_within(int, 1, 10**12), default=MAX_USERS, metavar="N",
        help="of the reader")  # fmt: skip
    add("--max-rating", type=_within(int, 2, 10), default=5, metavar="N")
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
    return Settings(
        world=WorldSpec(
            given.users or DEFAULT_USERS, given.movies or DEFAULT_FILMS, given.seed, given.movielens
        ),
        site=SiteSpec(given.site_host, given.site_port, not given.no_tagline)
        if wants_site
        else None,
        live=LiveSpec(
            proxy, given.rate, not given.even, given.speedup, given.duration, given.max_rating
        )
        if wants_live
        else None,
        backfill_days=given.backfill,
        events=given.events,
        workers=given.workers,
        rates=_rates(given),
        max_user_id=given.max_user_id,
        max_rating=given.max_rating,
        check_catalog=not given.no_catalog,
        bootstrap=given.bootstrap,
        topic=given.topic or env.get(product.TOPIC) or product.DEFAULT_TOPIC,
        partitions=given.partitions,
        server=server_of(proxy),
        ledger=given.ledger,
        continue_ledger=given.continue_ledger,
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
    if given.continue_ledger and given.ledger is None:
        raise UsageError("--continue-ledger needs --ledger FILE")
    total = given.inserted + given.replaced_id + given.bad_rating + given.duplicate
    if total > 1:
        raise UsageError(
            f"corruption shares of {total:g} in sum: a line is corrupted once, so at most 1"
        )
