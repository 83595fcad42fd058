"""Releases: what is being released, how it does, and the buttons to step in."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from console.charts import Chart, Mark, Series
from console.page import Action, Page, Panel, Query
from console.system import System
from movierec import metrics
from movierec.errors import MovierecError, ReleaseConflictError, UsageError
from movierec.releases import evaluation, rollback, state_machine
from movierec.releases.by_hand import ByHand
from movierec.releases.log import Step
from movierec.releases.registry import Releases
from movierec.releases.state_machine import ReleaseState
from movierec.releases.traffic_split import Alias, describe
from movierec.reports.release_report import publish_page

_log = logging.getLogger(__name__)

# A tick a minute for eight hours is 480: a chart needs no more than this, and a first view must
# not read hundreds of objects.
_MOST_TICKS: Final = 120
_MOST_RELEASES: Final = 20

# The first bounds are so wide that in a chart of them all the last ones would be a line.
_WIDEST: Final = 5.0


@dataclass(frozen=True, slots=True)
class Present:
    """Who gets which version now, and the release that can be acted on, if there is one."""

    alias: Alias
    models: Mapping[str, str | None]
    release: ReleaseState | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """A release's state and steps, newest first; of the holds in a row, the newest and how many."""

    release: ReleaseState
    steps: Sequence[tuple[Step, int]]
    shares: Chart
    page: str
    """URL of its report, which is there when it has ended."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The difference of canary and stable with its always-valid bounds, over time."""

    sentence: str
    verdict: str
    chart: Chart | None
    margin: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Metrics of both versions: of the newest evaluation, and the hit rate over time."""

    versions: Mapping[str, Mapping[str, Any]]
    names: Sequence[str]
    chart: Chart
    canary: str | None


def read_present(system: System, _: Query) -> Present | None:
    """Return the present state; None before the first release."""
    releases = system.releases()
    alias = releases.function.alias()
    if alias is None:
        return None
    return Present(alias, releases.models(alias.split), _active(releases, alias))


def _active(releases: Releases, alias: Alias | None) -> ReleaseState | None:
    """Return the release with the canary, or else the newest that has not ended."""
    if alias and alias.split.canary and alias.release_id:
        return releases.state_of(alias.release_id)
    waiting = releases.log.open_releases()
    return releases.state_of(waiting[-1]) if waiting else None


def _chosen(system: System, query: Query) -> tuple[Step, ...]:
    """Return the steps of the release that was asked for, or of the newest; () without any."""
    log = system.releases().log
    names = (query.text("release"),) if query.text("release") else log.releases()
    return log.sampled(names[-1], _MOST_TICKS) if names else ()


def read_timeline(system: System, query: Query) -> Timeline | None:
    """Return the chosen release's steps; None without any."""
    steps = _chosen(system, query)
    if not steps:
        return None
    found = state_machine.state_of(steps)
    shown: list[tuple[Step, int]] = []
    for step in steps:
        if step.name == "hold" and shown and shown[-1][0].name == "hold":
            shown[-1] = (step, shown[-1][1] + 1)
        else:
            shown.append((step, 1))
    link = system.releases().link(f"releases/{found.release_id}/page.html") if found.closed else ""
    return Timeline(found, shown[::-1], _shares(found, steps), link)


def _shares(found: ReleaseState, steps: Sequence[Step]) -> Chart:
    moves = [(at, percent) for at, percent in found.weights]
    if found.state == "promoted" and moves:
        moves[-1] = (moves[-1][0], 100.0)
    points = [(steps[0].time, 0.0), *moves]
    points.append((steps[-1].time, points[-1][1]))
    return Chart(
        "Share of requests that the new version gets",
        [at.timestamp() for at, _ in points],
        [Series("percent of requests", [percent for _, percent in points], "step", "also")],
    )


def _evaluations(steps: Sequence[Step]) -> list[tuple[float, Mapping[str, Any]]]:
    return [
        (step.time.timestamp(), step.facts["evaluation"])
        for step in steps
        if step.facts.get("evaluation")
    ]


def read_bounds(system: System, query: Query) -> Bounds | None:
    """Return the chosen release's difference and bounds; None without an evaluation."""
    steps = _chosen(system, query)
    found = _evaluations(steps)
    if not found:
        return None
    policy, last = state_machine.state_of(steps).policy, found[-1][1]
    bounded = [(x, each) for x, each in found if each.get("difference") is not None]
    chart = None
    if len(bounded) > 1:
        chart = _band(bounded, policy.margin)
    verdict = "refused" if last.get("refused") else str(last.get("verdict") or "unclear")
    return Bounds(evaluation.sentence(last), verdict, chart, policy.margin)


def _band(found: Sequence[tuple[float, Mapping[str, Any]]], margin: float) -> Chart:
    last = found[-1][1]
    widest = _WIDEST * max(abs(last["lower"] or 0), abs(last["upper"] or 0), margin)

    def curve(name: str) -> list[float | None]:
        values = (each[name] for _, each in found)
        return [None if v is None else math.copysign(min(abs(v), widest), v) for v in values]

    return Chart(
        "Gain in hit rate, new version less stable, with bounds that hold at every look",
        [x for x, _ in found],
        [
            Series("upper bound", curve("upper"), "upper", "ours"),
            Series("lower bound", curve("lower"), "lower", "ours"),
            Series("estimate", curve("difference"), tone="ours"),
        ],
        [Mark("worse, once all is below", 0.0), Mark("fine, once all is above", -margin)],
    )


def read_quality(system: System, query: Query) -> Quality | None:
    """Return metrics of both versions; None without an evaluation."""
    steps = _chosen(system, query)
    found = _evaluations(steps)
    versions = found[-1][1].get("versions") if found else None
    if not versions:
        return None
    canary, rate = state_machine.state_of(steps).version, metrics.HIT_RATE.name
    names = [
        metric.name
        for metric in metrics.QUALITY_METRICS
        if any(facts.get(metric.name) is not None for facts in versions.values())
    ]
    chart = Chart(
        "Hit rate: share of lists of which a movie was watched",
        [x for x, _ in found],
        [
            Series(
                f"version {version}",
                [(each["versions"].get(version) or {}).get(rate) for _, each in found],
                tone="also" if version == canary else "ours",
            )
            for version in versions
        ],
        percent=True,
    )
    return Quality(versions, names, chart, canary)


def read_list(system: System, _: Query) -> Sequence[ReleaseState]:
    """Return the newest releases, newest first."""
    releases = system.releases()
    names = releases.log.releases()[::-1][:_MOST_RELEASES]
    return [releases.state_of(name) for name in names]


def read_policy(system: System, query: Query) -> Mapping[str, str]:
    """Return the rules of the chosen release."""
    steps = _chosen(system, query)
    if not steps:
        return {}
    policy = state_machine.state_of(steps).policy
    values = {each.name: getattr(policy, each.name) for each in fields(policy)}
    return {
        name: " → ".join(f"{v:g}%" for v in value) if isinstance(value, tuple) else f"{value}"
        for name, value in values.items()
    }


# Actions ------------------------------------------------------------------------------------


def promote(system: System, given: Mapping[str, str]) -> str:
    """Make the canary stable, if the split is still the one that the form was made for."""
    releases = system.releases()
    split = ByHand(releases).promote(_reason(given), revision=_given(given, "revision"))
    return f"Promoted: {describe(split)}.{_end(releases)}"


def roll_back(system: System, given: Mapping[str, str]) -> str:
    """Send all requests to the stable version, if the form's version is still the canary.

    Whatever share it has meanwhile: a rollback is not refused for a step forward.
    """
    releases, canary = system.releases(), _given(given, "canary")
    before = releases.require_alias().split
    if before.canary != canary:
        raise ReleaseConflictError(f"version {canary} is no canary any more: {describe(before)}")
    note = ""
    try:
        rollback.roll_back(releases, _reason(given), of=canary)
    except MovierecError as exc:
        found = releases.split()
        if found is None or found.canary == canary:
            raise
        note = f" It could not be logged: {exc}"
    return f"Rolled back: {describe(releases.split())}.{note}{_end(releases)}"


def pause(system: System, given: Mapping[str, str]) -> str:
    """Have a release wait at its share."""
    found = ByHand(system.releases()).pause(
        _given(given, "release"), _reason(given), steps=_steps(given)
    )
    return f"Release {found.release_id} is paused; alarms and a bad verdict still roll it back."


def resume(system: System, given: Mapping[str, str]) -> str:
    """Have a release go on; its state machine is started again if it has stopped."""
    found = ByHand(system.releases()).resume(
        _given(given, "release"), _reason(given), steps=_steps(given)
    )
    again = system.restart_execution(found.release_id)
    note = " Its state machine had stopped, and runs again." if again else ""
    return f"Release {found.release_id} goes on.{note}"


def _end(releases: Releases) -> str:
    """Close the release and publish its report; a failure is a note: the traffic is right."""
    alias = releases.function.alias()
    if alias is None or alias.release_id is None:
        return ""
    try:
        rollback.close(releases, alias.release_id)
        publish_page(releases.log, alias.release_id)
    except MovierecError as exc:
        _log.warning("release_not_closed", extra={"release": alias.release_id, "why": str(exc)})
        return f" Nobody has been notified yet: {exc}"
    return ""


def _reason(given: Mapping[str, str]) -> str:
    said = " ".join(given.get("reason", "").split())[:200]
    return f"by the console: {said}" if said else "by the console"


def _given(given: Mapping[str, str], name: str) -> str:
    value = given.get(name, "")
    if not value:
        raise UsageError(f"the form lacks {name}: load its page again")
    return value


def _steps(given: Mapping[str, str]) -> int:
    value = _given(given, "steps")
    if not value.isascii() or not value.isdigit():
        raise UsageError(f"the form's steps are {value!r}: load its page again")
    return int(value)


PAGE: Final = Page(
    "releases",
    "Releases",
    "What is being released, how it does against the stable version, and why.",
    order=1,
    parameters=("release",),
    panels=(
        Panel("present", "Now", read_present, span=3, refresh_s=5, fresh_s=2),
        Panel("bounds", "Verdict", read_bounds, span=2),
        Panel("quality", "Both versions", read_quality, span=2),
        Panel("timeline", "Timeline", read_timeline, span=2),
        Panel("policy", "Rules of this release", read_policy, span=2, refresh_s=0, fresh_s=60),
        Panel("list", "All releases", read_list, span=3, refresh_s=30),
    ),
    actions=(
        Action("promote", promote),
        Action("rollback", roll_back),
        Action("pause", pause),
        Action("resume", resume),
    ),
)
