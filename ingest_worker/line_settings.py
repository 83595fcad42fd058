"""What the environment and the lake say of the site: its clock, and a replay of its lines."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from ingest_worker.line_rules import limits_from_env
from ingest_worker.quarantine_replay import QuarantineReplay
from movierec import settings
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.delta_quarantine_lake import DeltaQuarantineLake
from movierec.aws.lake_catalog import LakeCatalog
from movierec.lake import queries
from movierec.lake import site_clock as site_clocks
from movierec.lake.site_clock import SiteClock
from movierec.runtime.clock import SystemClock

# An offset that was found longer ago may be of another summer time: it is found anew.
_CLOCK_KNOWN_DAYS = 7


def site_clock(lake: DeltaLake, env: Mapping[str, str], topic: str) -> SiteClock:
    """Return the clock of a topic's site: by its zone, or by the offset that was found last.

    Raises ConfigError, LakeError and UnavailableError.
    """
    since = SystemClock().now().date() - timedelta(days=_CLOCK_KNOWN_DAYS)
    return site_clocks.from_env(env, queries.last_offset_minutes(lake, topic, since))


def replay(
    lake: DeltaQuarantineLake, env: Mapping[str, str], *, stopping: Callable[[], bool] = bool
) -> QuarantineReplay:
    """Return a replay of lines of quarantine. Raises ConfigError."""
    return QuarantineReplay(
        lake,
        catalog=LakeCatalog(lake),
        limits=limits_from_env(env),
        topics=settings.topics(env),
        site_clock=lambda topic: site_clock(lake, env, topic),
        stopping=stopping,
    )
