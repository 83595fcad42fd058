"""Charts as values, which `static/console.js` draws with uPlot."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Tone = Literal["ours", "also", "good", "bad", "soft", "warn"]
Kind = Literal["line", "step", "bars", "points", "upper", "lower"]
"""An `upper` and the `lower` after it are the edges of a band."""


@dataclass(frozen=True, slots=True)
class Series:
    """A named series with a value, or None, for each x of its chart."""

    name: str
    values: Sequence[float | None]
    kind: Kind = "line"
    tone: Tone = "ours"
    scale: str = "y"
    """Series of another scale have an axis of their own, at the right."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A labelled horizontal line."""

    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart over time; `x` is Unix seconds."""

    title: str
    x: Sequence[float]
    series: Sequence[Series]
    marks: Sequence[Mark] = ()
    percent: bool = False
    """Whether values are shares, shown as percent."""

    @property
    def is_empty(self) -> bool:
        """Whether no series has a value."""
        return not any(value is not None for series in self.series for value in series.values)

    def to_json(self) -> dict[str, Any]:
        """Return what the script draws."""
        return {
            "x": list(self.x),
            "percent": self.percent,
            "series": [
                {
                    "name": each.name,
                    "values": [_rounded(value) for value in each.values],
                    "kind": each.kind,
                    "tone": each.tone,
                    "scale": each.scale,
                }
                for each in self.series
            ],
            "marks": [{"text": mark.text, "at": mark.at} for mark in self.marks],
        }

    def rows(self) -> list[tuple[float, list[float | None]]]:
        """Return the chart as a table, newest first: a time, and each series' value."""
        lines = zip(*(each.values for each in self.series), strict=True)
        found = [(x, list(line)) for x, line in zip(self.x, lines, strict=True)]
        known = [row for row in found if any(value for value in row[1])]
        return known[::-1][:_MOST_ROWS]


_MOST_ROWS: Final = 72
_DIGITS: Final = 6


def _rounded(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return round(value, _DIGITS)
