"""Line and step charts as SVG text, in a page or as a file: no script, no external resources.

Colours are CSS variables `--chart-*`, which a page may set; by default they follow the light or
dark mode. Title and description serve screen readers.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final, Literal

Point = tuple[float, float]
Range = tuple[float, float]

Style = Literal["ours", "also", "good", "bad", "theirs"]

_WIDTH, _HEIGHT = 760, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 168, 58, 54
_SIZE = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}"'
_LETTER = 6.6  # px, mean width of a letter at 12 px
_LINE = 15  # px between two labels
_ROW = 18  # px for each vertical mark's text, above the curves
_TICKS = 8

_STYLE: Final = (
    """
.chart { --ink: var(--chart-ink, #1c2330); --soft: var(--chart-soft, #667085);
  --line: var(--chart-line, #e4e7ec); --paper: var(--chart-paper, #fff);
  --ours: var(--chart-ours, #2f6fde); --also: var(--chart-also, #8a5cd6);
  --good: var(--chart-good, #17805f); --bad: var(--chart-bad, #c8442f);
  --theirs: var(--chart-theirs, #7d8798);
  font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; max-width: 100%; height: auto; }
@media (prefers-color-scheme: dark) { .chart { --ink: var(--chart-ink, #e8ebf0);
  --soft: var(--chart-soft, #98a2b3); --line: var(--chart-line, #2b3442);
  --paper: var(--chart-paper, #12161d); --ours: var(--chart-ours, #6ea0ff);
  --also: var(--chart-also, #b595f5); --good: var(--chart-good, #4cc79a);
  --bad: var(--chart-bad, #ff8a70); --theirs: var(--chart-theirs, #8b95a7); } }
.chart text { fill: var(--soft); font: inherit; }
.chart .chart-title { fill: var(--ink); font-size: 15px; font-weight: 600; }
.chart .chart-grid { stroke: var(--line); } .chart .chart-axis { stroke: var(--soft); }
.chart .chart-mark { stroke: var(--soft); stroke-dasharray: 5 4; }
.chart .chart-note { paint-order: stroke; stroke: var(--paper); stroke-width: 5px; }
.chart .chart-curve { fill: none; stroke-width: 2.25; stroke-linejoin: round; }
""".strip().replace("\n", " ")
    + "".join(
        f" .chart .chart-curve.{name} {{ stroke: var(--{name}); }}"
        f" .chart text.{name} {{ fill: var(--{name}); font-weight: 600; }}"
        for name in ("ours", "also", "good", "bad", "theirs")
    )
)


@dataclass(frozen=True, slots=True)
class Series:
    """A named curve through points in order of x, with a gap where a point is not finite."""

    name: str
    points: Sequence[Point]
    style: Style = "ours"
    step: bool = False
    """Draw steps: each value holds until the next x."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A labelled dashed line across the chart, at an x or a y."""

    text: str
    at: float
    axis: Literal["x", "y"] = "y"


@dataclass(frozen=True, slots=True)
class _Frame:
    """Maps values to pixels."""

    x: Range
    y: Range
    upper: float = _TOP

    def left(self, x: float) -> float:
        return _LEFT + _share(x, self.x) * (_WIDTH - _LEFT - _RIGHT)

    def top(self, y: float) -> float:
        return _HEIGHT - _BOTTOM - _share(y, self.y) * (_HEIGHT - self.upper - _BOTTOM)


def _share(value: float, bounds: Range) -> float:
    share = (value - bounds[0]) / (bounds[1] - bounds[0])
    return min(max(share, 0.0), 1.0)


def line_chart(
    title: str,
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    marks: Sequence[Mark] = (),
    x_range: Range | None = None,
    y_range: Range | None = None,
    description: str = "",
) -> str:
    """Return an SVG element, 760 x 400; each curve's name is at its right end.

    A range that is not given covers all finite values and marks; values outside of a given one are
    drawn at its edge.
    """
    points = [point for one in series for point in one.points if _finite(point)]
    upright = sum(mark.axis == "x" for mark in marks)
    frame = _Frame(
        x_range or _hull([x for x, _ in points] + [m.at for m in marks if m.axis == "x"]),
        y_range or _hull([y for _, y in points] + [m.at for m in marks if m.axis == "y"]),
        upper=_TOP + upright * _ROW,
    )
    summary = description or f"{y_label} by {x_label}: {', '.join(one.name for one in series)}."
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" {_SIZE}>',
        f"<title>{escape(title)}</title><desc>{escape(summary)}</desc><style>{_STYLE}</style>",
        f'<text class="chart-title" x="{_LEFT}" y="22">{escape(title)}</text>',
        *_axes(frame, x_label, y_label),
        *(_curve(frame, one) for one in series),
        *_marks(frame, marks),
        *_names(frame, series),
        "</svg>",
    ]
    return "\n".join(parts)


def _finite(point: Point) -> bool:
    return all(map(math.isfinite, point))


def _hull(values: Sequence[float]) -> Range:
    """Return the smallest range of whole ticks that covers the values."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    unit = _unit(low, high)
    return math.floor(low / unit) * unit, math.ceil(high / unit) * unit


def _unit(low: float, high: float) -> float:
    """Return the 1, 2 or 5 times a power of ten that divides a range into about _TICKS."""
    raw = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * n for n in (1, 2, 5, 10) if raw <= power * n)


def _ticks(bounds: Range) -> list[float]:
    unit = _unit(*bounds)
    first, last = math.ceil(bounds[0] / unit - 1e-9), math.floor(bounds[1] / unit + 1e-9)
    return [i * unit for i in range(first, last + 1)]


def _axes(frame: _Frame, x_label: str, y_label: str) -> Iterator[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    for y in _ticks(frame.y):
        top = frame.top(y)
        yield f'<path class="chart-grid" d="M{_LEFT} {top:.1f}H{right}"/>'
        yield _text(_LEFT - 8, top + 4, _number(y), anchor="end")
    for x in _ticks(frame.x):
        left = frame.left(x)
        yield f'<path class="chart-axis" d="M{left:.1f} {bottom}v5"/>'
        yield _text(left, bottom + 19, _number(x), anchor="middle")
    yield f'<path class="chart-axis" d="M{_LEFT} {bottom}H{right}"/>'
    yield _text(_LEFT, 42, y_label)
    yield _text(right, bottom + 40, x_label, anchor="end")


def _number(value: float) -> str:
    return f"{round(value, 10):,.10g}"


def _text(x: float, y: float, text: str, *, anchor: str = "start", style: str = "") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _marks(frame: _Frame, marks: Sequence[Mark]) -> Iterator[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    for mark in marks:
        if mark.axis == "y":
            top = frame.top(mark.at)
            yield f'<path class="chart-mark" d="M{_LEFT} {top:.1f}H{right}"/>'
            yield _text(right - 6, top - 6, mark.text, anchor="end", style="chart-note")
    upright = sorted((mark for mark in marks if mark.axis == "x"), key=lambda mark: mark.at)
    for i, mark in enumerate(upright):
        # Above the curves, each lower than the one before, so that no line crosses a text.
        left, top = frame.left(mark.at), _TOP + i * _ROW
        yield f'<path class="chart-mark" d="M{left:.1f} {top - 8}V{bottom}"/>'
        yield _text(left + 6, top + 2, mark.text)


def _curve(frame: _Frame, series: Series) -> str:
    drawn = "".join(_path(frame, run, step=series.step) for run in _runs(series.points))
    return f'<path class="chart-curve {series.style}" d="{drawn}"/>'


def _runs(points: Sequence[Point]) -> Iterator[list[Point]]:
    """Yield a curve's runs of finite points."""
    run: list[Point] = []
    for point in points:
        if _finite(point):
            run.append(point)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _path(frame: _Frame, points: Sequence[Point], *, step: bool) -> str:
    placed = [(frame.left(x), frame.top(y)) for x, y in points]
    parts = [f"M{placed[0][0]:.1f} {placed[0][1]:.1f}"]
    for left, top in placed[1:]:
        parts.append(f"H{left:.1f}V{top:.1f}" if step else f"L{left:.1f} {top:.1f}")
    return "".join(parts)


@dataclass(slots=True)
class _Name:
    """A curve's label and its preferred position."""

    lines: list[str]
    style: Style
    left: float
    top: float
    height: float = field(init=False)

    def __post_init__(self) -> None:
        self.height = _LINE * len(self.lines)


def _names(frame: _Frame, series: Sequence[Series]) -> Iterator[str]:
    """Yield each curve's label beside its end, moved so that none overlap."""
    names = []
    for one in series:
        finite = [point for point in one.points if _finite(point)]
        if finite:
            x, y = finite[-1]
            lines = _wrapped(one.name, int((_RIGHT - 14) / _LETTER))
            names.append(_Name(lines, one.style, frame.left(x) + 8, frame.top(y)))
    names.sort(key=lambda name: name.top)
    _spread(names, frame.upper)
    for name in names:
        for i, line in enumerate(name.lines):
            yield _text(name.left, name.top + 4 + i * _LINE, line, style=name.style)


def _spread(names: Sequence[_Name], floor: float) -> None:
    """Push labels down where they overlap, then up from the lower edge."""
    for name in names:
        name.top = max(name.top - name.height / 2 + _LINE / 2, floor)
        floor = name.top + name.height + 2
    ceiling = float(_HEIGHT - _BOTTOM + _LINE)
    for name in reversed(names):
        name.top = min(name.top, ceiling - name.height)
        ceiling = name.top - 2


def _wrapped(text: str, letters: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > letters:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
