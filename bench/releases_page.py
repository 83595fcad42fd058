"""docs/releases-error-rates.md and its pictures, from what bench.releases found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.benchmark_report import ROOT, Row, table
from movierec.releases.policy import Policy
from movierec.reports.svg_chart import Mark, Point, Series, Style, line_chart

_FOLDER = ROOT / "docs" / "releases"
_PAGE = ROOT / "docs" / "releases-error-rates.md"

_TEXT = """\
# How often a release's verdict is wrong, and how long it takes

Made by `make bench-releases SEED={seed}`: {releases:,} releases of each kind, simulated
through the whole schedule, on a site of 20 requests a second with an evaluation tick every
{tick:g} seconds. Bounds, verdicts and policy are the product's
([sequential_test.py](../src/movierec/releases/sequential_test.py),
[policy.py](../src/movierec/releases/policy.py)); only the site is simulated. Percentages are
known to about {error:.1f} points. Why it is done so: [ADR 7](adr/0007-always-valid-verdict.md).

```text
{table}
```

The rivals see the same site and go on by the clock. "z-test" is the usual two-proportion test at
5 %; "threshold" aborts when the canary's hit rate is more than a point below stable's; both wait
for as many trials as we do before their first test. "5 min windows" is a threshold in the way of
[Argo Rollouts' example](https://argo-rollouts.readthedocs.io/en/stable/features/analysis/): rates
of the last five minutes, every five minutes, three failures allowed. "Fixed-size test" is the
number of canary requests at which a one-sided test of the same 5 % finds 10 to 8 % in 90 of 100
cases, if one tests then and only then.

## However often one tests, the error stays below what was asked for

![Identical models aborted, over the ticks](releases/false-aborts.svg)

## What it costs: a bad canary gets somewhat more requests

Canary requests are counted until the rollback, with those of the last {horizon:g} minutes, whose
outcomes were not known yet; the fixed-size test's are counted without them. The larger the loss,
the earlier it is caught; a fixed-size test must know beforehand how large.

![Canary requests until a bad canary is caught](releases/caught.svg)

## A good canary is not kept waiting

![Time to promotion](releases/promoted.svg)
"""


@dataclass(frozen=True, slots=True)
class Curves:
    """Data of the charts."""

    policy: Policy
    aborted_s: Sequence[float]
    """When releases of identical models were aborted."""
    peeked_z: Sequence[float]
    """Percent aborted by each tick."""
    threshold: Sequence[float]
    caught: Mapping[str, Sequence[int]]
    """Canary requests until caught."""
    fixed_size: float
    promoted_s: Mapping[str, Sequence[float]]
    releases: int


def write(rows: Sequence[Row], curves: Curves, seed: int, releases: int) -> None:
    """Write the page and its pictures."""
    _FOLDER.mkdir(exist_ok=True)
    pictures = {
        "false-aborts": _false_aborts(curves),
        "caught": _caught(curves),
        "promoted": _promoted(curves),
    }
    for name, svg in pictures.items():
        (_FOLDER / f"{name}.svg").write_text(svg + "\n", encoding="utf-8")
    text = _TEXT.format(
        seed=seed,
        releases=releases,
        tick=curves.policy.look_s,
        horizon=curves.policy.horizon_s / 60,
        error=100 * (0.05 * 0.95 / releases) ** 0.5,
        table=table(rows),
    )
    _PAGE.write_text(text, encoding="utf-8")
    print(f"written to {_PAGE.relative_to(ROOT)}")


def _false_aborts(curves: Curves) -> str:
    ticks = len(curves.peeked_z)
    hours = [(i + 1) * curves.policy.look_s / 3600 for i in range(ticks)]
    ours = [point for point in _shares(curves.aborted_s, curves, 3600) if point[0] <= hours[-1]]
    return line_chart(
        f"Identical models: aborted as worse, of {curves.releases:,} releases",
        [
            Series("always-valid bounds (ours)", [*ours, (hours[-1], ours[-1][1])], step=True),
            Series("z-test at every tick", _paired(hours, curves.peeked_z), "bad"),
            Series("threshold at every tick", _paired(hours, curves.threshold), "theirs"),
        ],
        x_label="hours since the release began, a tick a minute",
        y_label="percent aborted",
        marks=[Mark("the error that was asked for", 100 * curves.policy.alpha)],
        x_range=(0, hours[-1]),
    )


def _caught(curves: Curves) -> str:
    styles: tuple[Style, ...] = ("ours", "also")
    last = 8 * curves.fixed_size
    return line_chart(
        "Canary requests until a bad canary is rolled back",
        [
            Series(name, _cut(_shares(values, curves), last), style, step=True)
            for (name, values), style in zip(curves.caught.items(), styles, strict=True)
        ],
        x_label="canary requests",
        y_label="percent of releases caught by then",
        marks=[Mark("fixed-size test", curves.fixed_size, "x"),
               Mark("twice that", 2 * curves.fixed_size, "x")],
        x_range=(0, last),
        y_range=(0, 100),
    )  # fmt: skip


def _promoted(curves: Curves) -> str:
    shortest_h = len(curves.policy.steps) * curves.policy.dwell_s / 3600
    styles: tuple[Style, ...] = ("good", "ours", "bad")
    last = 3 * shortest_h
    return line_chart(
        "Time until a canary serves everybody for good",
        [
            Series(name, _cut(_shares(values, curves, 3600), last), style, step=True)
            for (name, values), style in zip(curves.promoted_s.items(), styles, strict=True)
        ],
        x_label="hours since the release began",
        y_label="percent of releases promoted by then",
        marks=[Mark("shortest that the steps allow", shortest_h, "x")],
        x_range=(0, last),
        y_range=(0, 100),
    )


def _shares(values: Sequence[float], curves: Curves, unit: float = 1.0) -> list[Point]:
    """Return the percentage of releases that are done by each of ascending values."""
    each = 100 / curves.releases
    return [(0.0, 0.0), *((value / unit, each * i) for i, value in enumerate(values, 1))]


def _paired(x: Sequence[float], y: Sequence[float]) -> list[Point]:
    return list(zip(x, y, strict=True))


def _cut(points: Sequence[Point], last: float) -> list[Point]:
    """Return the points up to an x, and the value there."""
    kept = [point for point in points if point[0] <= last]
    return [*kept, (last, kept[-1][1])]
