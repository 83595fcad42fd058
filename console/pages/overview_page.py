"""Overview: is the service well, and if not, where to look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from console.charts import Chart, Series
from console.page import Page, Panel, Query
from console.system import System
from movierec.lake.activity import Answers, ServedGroup
from movierec.model import artifact, model_versions
from movierec.releases.alarm_states import Alarm
from movierec.releases.state_machine import ReleaseState
from movierec.releases.traffic_split import TrafficSplit

# Where the alarms of `infra/terraform` are by default, so that a tile and its alarm agree.
LAG_LIMIT_S: Final = 300.0
QUARANTINE_LIMIT: Final = 0.05
MODEL_AGE_LIMIT: Final = timedelta(days=7)

# One request in two hundred without an answer is worth a look; one in a hundred is the alarm of the
# API itself.
AVAILABILITY_GOAL: Final = 0.995
AVAILABILITY_LIMIT: Final = 0.99

# The site gives up after 600 to 800 ms; the proxy's deadline is 400.
LATENCY_GOAL_MS: Final = 400.0
LATENCY_LIMIT_MS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Service:
    """What the site logged of its requests."""

    answers: Answers
    chart: Chart
    availability_tone: str
    latency_tone: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """Who gets which version, and what is being released."""

    split: TrafficSplit
    models: Mapping[str, str | None]
    open: Sequence[ReleaseState]


@dataclass(frozen=True, slots=True)
class ModelAge:
    """How old the stable version's model is, and the newest one."""

    version: str
    age: timedelta
    newest: str | None
    newest_age: timedelta | None
    tone: str


@dataclass(frozen=True, slots=True)
class Alarms:
    """All alarms, those that ring first."""

    ringing: Sequence[Alarm]
    silent: int
    """Alarms that have no data."""
    total: int


def read_service(system: System, query: Query) -> Service:
    """Return availability and latency of the window, in sum and by slot."""
    activity = system.activity()
    total, slots = activity.answers(query.window), activity.answers_by_slot(query.window)
    by_slot = {each.at: each for each in slots}
    starts = query.window.slots()
    found = [by_slot.get(at) for at in starts]
    chart = Chart(
        "Requests of the site and the latency of its answers",
        tuple(at.timestamp() for at in starts),
        (
            Series("requests", [float(a.requests) if a else 0.0 for a in found], "bars", "soft"),
            Series("p50, ms", [a.p50_ms if a else None for a in found], tone="ours", scale="ms"),
            Series("p99, ms", [a.p99_ms if a else None for a in found], tone="also", scale="ms"),
            Series(
                "not answered",
                [float(a.requests - a.ok) if a and a.requests > a.ok else None for a in found],
                "points",
                "bad",
            ),
        ),
    )
    return Service(
        total,
        chart,
        _below(total.availability, AVAILABILITY_GOAL, AVAILABILITY_LIMIT),
        _above(total.p99_ms, LATENCY_GOAL_MS, LATENCY_LIMIT_MS),
    )


def read_served(system: System, query: Query) -> Sequence[ServedGroup]:
    """Return what was served by version and source."""
    return system.activity().served(query.window)


def read_traffic(system: System, _: Query) -> Traffic | None:
    """Return the traffic split and open releases; None before the first release."""
    releases = system.releases()
    split = releases.split()
    if split is None:
        return None
    names = releases.log.open_releases()
    return Traffic(split, releases.models(split), [releases.state_of(name) for name in names])


def read_lag(system: System, _: Query) -> dict[str, Any]:
    """Return how far the lake is behind Kafka."""
    found = system.ingest()
    failing = "bad" if found["failing"] else ""
    return {**found, "tone": failing or _above(found["lag_s"], LAG_LIMIT_S / 5, LAG_LIMIT_S)}


def read_clocks(system: System, _: Query) -> Mapping[str, Any]:
    """Return what is known of the site's clock, by topic."""
    clocks: Mapping[str, Any] = system.ingest()["site_clocks"]
    return clocks


def read_quarantine(system: System, _: Query) -> dict[str, Any]:
    """Return the share of the last minutes' lines that are no events, by reason."""
    reasons: Mapping[str, float] = system.ingest()["quarantined"]
    share = sum(reasons.values())
    return {
        "share": share,
        "reasons": reasons,
        "tone": _above(share, QUARANTINE_LIMIT / 2, QUARANTINE_LIMIT),
    }


def read_model(system: System, query: Query) -> ModelAge | None:
    """Return the age of the stable version's model; None before the first release."""
    releases = system.releases()
    split = releases.split()
    version = releases.models(split).get(split.stable) if split else None
    if version is None:
        return None
    versions = model_versions.versions(system.store())
    newest = versions[-1] if versions else None
    age = query.now - artifact.trained_at(version)
    return ModelAge(
        version,
        age,
        newest,
        query.now - artifact.trained_at(newest) if newest else None,
        _above(
            age.total_seconds(),
            MODEL_AGE_LIMIT.total_seconds() * 0.8,
            MODEL_AGE_LIMIT.total_seconds(),
        ),
    )


def read_alarms(system: System, _: Query) -> Alarms:
    """Return the alarms."""
    found = system.alarms().alarms()
    ringing = [alarm for alarm in found if alarm.state == "alarm"]
    return Alarms(
        sorted(ringing, key=lambda alarm: alarm.since, reverse=True),
        sum(alarm.state == "no data" for alarm in found),
        len(found),
    )


def _above(value: float | None, goal: float, limit: float) -> str:
    """Return the tone of a value that should be small."""
    if value is None:
        return "none"
    return "ok" if value <= goal else "warn" if value <= limit else "bad"


def _below(value: float | None, goal: float, limit: float) -> str:
    """Return the tone of a value that should be large."""
    return _above(None if value is None else -value, -goal, -limit)


PAGE: Final = Page(
    "overview",
    "Overview",
    "Is the service well, and if not, where to look.",
    order=0,
    windowed=True,
    panels=(
        Panel("service", "Answers to the site", read_service, "/data", span=3),
        Panel("alarms", "Alarms", read_alarms, refresh_s=15),
        Panel("traffic", "Traffic split", read_traffic, "/releases"),
        Panel("served", "Served by version and source", read_served, "/releases", span=2),
        Panel("model", "Model age", read_model, "/models", refresh_s=60, fresh_s=20),
        Panel("lag", "Ingest lag", read_lag, "/data"),
        Panel("quarantine", "Quarantine, 10 minutes", read_quarantine, "/data"),
        Panel("clock", "Site's clock", read_clocks, "/data", refresh_s=30),
    ),
)
