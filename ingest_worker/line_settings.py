"""How lines become events, as the environment sets it: limits, the site's clock, the replay."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from ingest_worker.quarantine_replay import QuarantineReplay
from movierec import settings
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.lake_catalog import LakeCatalog
from movierec.lake import queries
from movierec.lake import site_clock as site_clocks
from movierec.lake.log_lines import Limits
from movierec.lake.plausible_times import PlausibleTimes
from movierec.lake.site_clock import SiteClock
from movierec.model.rating_scale import RatingScale
from movierec.model.user_id import max_user_id
from movierec.runtime.clock import SystemClock

# An offset that was found longer ago may be of another summer time: it is found anew.
_CLOCK_KNOWN_DAYS = 7


def limits(env: Mapping[str, str]) -> Limits:
    """Return the ranges that a line must be within. Raises ConfigError."""
    scale = RatingScale.from_env(env)
    earliest = PlausibleTimes.from_env(env).earliest
    return Limits(max_user_id(env), scale.lowest, scale.highest, earliest)


def site_clock(lake: DeltaLake, env: Mapping[str, str], topic: str) -> SiteClock:
    """Return the clock of a topic's site: by its zone, or by the offset that was found last.

    Raises ConfigError, LakeError and UnavailableError.
    """
    since = SystemClock().now().date() - timedelta(days=_CLOCK_KNOWN_DAYS)
    return site_clocks.from_env(env, queries.last_offset_minutes(lake, topic, since))


def replay(
    lake: DeltaLake, env: Mapping[str, str], *, stopping: Callable[[], bool] = bool
) -> QuarantineReplay:
    """Return a replay of lines of quarantine. Raises ConfigError."""
    return QuarantineReplay(
        lake,
        catalog=LakeCatalog(lake),
        limits=limits(env),
        topics=settings.topics(env),
        site_clock=lambda topic: site_clock(lake, env, topic),
        stopping=stopping,
    )
