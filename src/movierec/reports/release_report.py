"""A release's report as one HTML page: its state, its steps with reasons, the evaluations.

It is rendered from the release's steps alone, so it can be rendered again at any time.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from movierec import metrics
from movierec.releases import state_machine
from movierec.releases.evaluation import sentence
from movierec.releases.log import ReleaseLog, Step, page_key
from movierec.releases.policy import Policy
from movierec.releases.state_machine import ReleaseState
from movierec.releases.traffic_split import describe
from movierec.reports import svg_chart
from movierec.reports.html import Cell, page, paragraph, table
from movierec.reports.svg_chart import Mark, Point, Series

_SCALES: Final = (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0), ("seconds", 1.0))

Facts = Mapping[str, Any]


def render(steps: Sequence[Step]) -> bytes:
    """Return a release's report as self-contained HTML. Raises ReleaseError without a step."""
    found = state_machine.state_of(steps)
    axis = _Axis(steps)
    sections = {
        "Requests to the new version": list(_shares(found, steps, axis)),
        "New version against stable": list(_differences(found, steps, axis)),
        "Quality": list(_quality(found, steps, axis)),
        "Alarm": list(_alarms(steps)),
        "Steps": [_timeline(steps)],
        "Policy": [_policy(found.policy)],
    }
    shown = {heading: pieces for heading, pieces in sections.items() if pieces}
    return page(f"Release {found.release_id}", _headline(found), shown)


def publish_page(log: ReleaseLog, release_id: str) -> None:
    """Write a release's report beside its steps. Raises ReleaseNotFoundError, UnavailableError."""
    log.store.put(page_key(release_id), render(log.steps(release_id)))


def charts(steps: Sequence[Step]) -> Mapping[str, str]:
    """Return a release's charts by name, SVG each; empty charts are left out."""
    found, axis = state_machine.state_of(steps), _Axis(steps)
    drawn = {
        "users": _shares(found, steps, axis),
        "difference": _differences(found, steps, axis),
        "hit-rate": _hit_rates(found, list(_evaluations(steps, axis)), axis),
    }
    return {
        name: piece
        for name, pieces in drawn.items()
        for piece in pieces
        if piece.startswith("<svg")
    }


def _headline(found: ReleaseState) -> str:
    state = f"{found.state} at {found.percent:g}%" if found.state == "exposed" else found.state
    parts = [
        f"{state}, paused" if found.paused else state,
        f"model {found.model_version}" if found.model_version else "no model yet",
        f"version {found.version}" if found.version else "no version yet",
        *([f"in place of version {found.stable}"] if found.stable else []),
    ]
    reason = f": {found.reason}" if found.reason else ""
    return f"{' · '.join(parts)}{reason}"


class _Axis:
    """Time since a release's first step, in the largest unit of which it lasted more than two."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.began, self.ended = steps[0].time, steps[-1].time
        lasted_s = (self.ended - self.began).total_seconds()
        fitting = (scale for scale in _SCALES if lasted_s > 2 * scale[1])
        self.unit, self.unit_s = next(fitting, _SCALES[-1])

    @property
    def label(self) -> str:
        return f"{self.unit} since the start"

    @property
    def end(self) -> float:
        return self.at(self.ended)

    def at(self, time: datetime) -> float:
        return (time - self.began).total_seconds() / self.unit_s


# Charts -------------------------------------------------------------------------------------


def _shares(found: ReleaseState, steps: Sequence[Step], axis: _Axis) -> Iterator[str]:
    weights = [(axis.at(at), percent) for at, percent in found.weights]
    if not weights or axis.end <= 0:
        return
    if found.state == "promoted":
        weights[-1] = (weights[-1][0], 100.0)
    points = [(0.0, 0.0), *weights, (axis.end, weights[-1][1])]
    yield svg_chart.line_chart(
        "Share of requests",
        [Series(f"version {found.version}", points, step=True)],
        x_label=axis.label,
        y_label="percent of requests",
        marks=[
            Mark(step.name, axis.at(step.time), axis="x")
            for step in steps
            if step.name in ("pause", "resume", "rollback")
        ],
        x_range=(0.0, axis.end),
        y_range=(0.0, 100.0),
    )


def _differences(found: ReleaseState, steps: Sequence[Step], axis: _Axis) -> Iterator[str]:
    evaluations = list(_evaluations(steps, axis))
    if not evaluations:
        return
    last = evaluations[-1][1]
    yield paragraph(sentence(last))
    bounded = [(x, each) for x, each in evaluations if each.get("difference") is not None]
    if len(bounded) < 2:  # noqa: PLR2004  a line has two ends
        yield paragraph("There are no bounds yet: too few trials.")
        return
    yield svg_chart.line_chart(
        "Gain in hit rate, canary less stable",
        [
            Series("upper bound", _curve(bounded, "upper"), "theirs"),
            Series("estimate", _curve(bounded, "difference"), "ours"),
            Series("lower bound", _curve(bounded, "lower"), "theirs"),
        ],
        x_label=axis.label,
        y_label="difference of hit rates",
        marks=[
            Mark("worse, if all is below", 0.0),
            Mark("fine, if all is above", -found.policy.margin),
        ],
        x_range=(0.0, axis.end),
    )


def _evaluations(steps: Sequence[Step], axis: _Axis) -> Iterator[tuple[float, Facts]]:
    """Yield each evaluation, and the time of the step decided on it in the axis's units."""
    for step in steps:
        if step.facts.get("evaluation"):
            yield axis.at(step.time), step.facts["evaluation"]


def _curve(evaluations: Sequence[tuple[float, Facts]], name: str) -> list[Point]:
    return [(x, math.nan if each[name] is None else each[name]) for x, each in evaluations]


def _quality(found: ReleaseState, steps: Sequence[Step], axis: _Axis) -> Iterator[str]:
    evaluations = list(_evaluations(steps, axis))
    if not evaluations or not evaluations[-1][1].get("versions"):
        return
    yield from _hit_rates(found, evaluations, axis)
    yield _metrics(evaluations[-1][1]["versions"])


def _hit_rates(
    found: ReleaseState, evaluations: Sequence[tuple[float, Facts]], axis: _Axis
) -> Iterator[str]:
    hit_rate = metrics.HIT_RATE.name
    versions = evaluations[-1][1].get("versions", {}) if evaluations else {}
    series = [
        Series(f"version {version}", points, "ours" if version == found.version else "theirs")
        for version in versions
        if len(points := list(_of_version(evaluations, version, hit_rate))) > 1
    ]
    if series:
        yield svg_chart.line_chart(
            "Hit rate",
            series,
            x_label=axis.label,
            y_label="share of lists of which a movie was watched",
            x_range=(0.0, axis.end),
        )


def _of_version(
    evaluations: Sequence[tuple[float, Facts]], version: str, metric: str
) -> Iterator[Point]:
    for x, each in evaluations:
        value = (each["versions"].get(version) or {}).get(metric)
        if value is not None:
            yield x, value


# Tables -------------------------------------------------------------------------------------


def _metrics(versions: Mapping[str, Facts]) -> str:
    head = ["", *(f"version {version}" for version in versions)]
    names = [
        metric.name
        for metric in metrics.QUALITY_METRICS
        if any(facts.get(metric.name) is not None for facts in versions.values())
    ]
    rows: list[list[Cell]] = [
        ["model", *(facts.get("model_version") for facts in versions.values())]
    ]
    rows += [[name, *(facts.get(name) for facts in versions.values())] for name in names]
    return table(head, rows)


def _alarms(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        alarm = step.facts.get("alarm")
        if alarm:
            yield paragraph(f"{alarm['name']}, {_clock(step)}: {alarm['reason']}")


def _timeline(steps: Sequence[Step]) -> str:
    rows: list[list[Cell]] = []
    for name, alike in groupby(steps, key=lambda step: step.name):
        group = list(alike)
        if name == "hold":
            # A tick a minute for hours: one row for all, with the reason of the last.
            ticks = f"{len(group)} looks" if len(group) > 1 else "1 look"
            rows.append([_clock(group[-1]), ticks, "", group[-1].reason])
            continue
        rows += [[_clock(step), step.name, describe(step.after), step.reason] for step in group]
    return table(["when (UTC)", "what", "users", "why"], rows)


def _clock(step: Step) -> str:
    return f"{step.time:%Y-%m-%d %H:%M:%S}"


def _policy(policy: Policy) -> str:
    rows = [(each.name, _value(getattr(policy, each.name))) for each in fields(policy)]
    return table(["name", "value"], rows)


def _value(value: object) -> Cell:
    if isinstance(value, tuple):
        return " → ".join(f"{each:g}%" for each in value)
    return value if isinstance(value, str | int | float) else str(value)
