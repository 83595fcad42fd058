"""A lineage as a graph: boxes and arrows, which a template draws as SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from console import formats
from movierec.lake.served import utc
from movierec.provenance.lineage import Lineage

COLUMN, ROW = 222, 104
WIDTH, HEIGHT = 186, 68
_LETTERS: Final = 24

# Column, row: from the recommendation to the right, back to the data.
_PLACES: Final[Mapping[str, tuple[int, int]]] = {
    "site": (0, 0),
    "served": (0, 1),
    "function": (1, 0),
    "release": (2, 0),
    "code": (3, 0),
    "model": (1, 1),
    "dataset": (2, 1),
    "lake": (3, 1),
    "kafka": (4, 1),
}
_ARROWS: Final = (
    ("served", "site"),
    ("served", "function"),
    ("function", "release"),
    ("release", "code"),
    ("served", "model"),
    ("model", "dataset"),
    ("dataset", "lake"),
    ("lake", "kafka"),
)


@dataclass(frozen=True, slots=True)
class Box:
    """A link of the lineage; one that was not found has no lines."""

    name: str
    title: str
    lines: Sequence[str]

    @property
    def found(self) -> bool:
        """Whether the link is known."""
        return bool(self.lines)

    @property
    def left(self) -> int:
        """Its left edge."""
        return _PLACES[self.name][0] * COLUMN + 1

    @property
    def top(self) -> int:
        """Its upper edge."""
        return _PLACES[self.name][1] * ROW + 1


@dataclass(frozen=True, slots=True)
class Graph:
    """Boxes, and the paths of the arrows between them."""

    boxes: Sequence[Box]
    arrows: Sequence[str]
    width: int = 4 * COLUMN + WIDTH + 2
    height: int = ROW + HEIGHT + 2

    @property
    def text(self) -> str:
        """The graph in words."""
        known = ", ".join(f"{box.title} {box.lines[0]}" for box in self.boxes if box.found)
        missing = ", ".join(box.title for box in self.boxes if not box.found)
        return f"{known}{f'; not found: {missing}' if missing else ''}"


def graph_of(lineage: Lineage) -> Graph:
    """Return a lineage's graph."""
    boxes = [Box(name, title, _cut(lines)) for name, title, lines in _links(lineage)]
    by_name = {box.name: box for box in boxes}
    return Graph(boxes, [_arrow(by_name[one], by_name[other]) for one, other in _ARROWS])


def _links(lineage: Lineage) -> list[tuple[str, str, list[str]]]:
    served, function, model = lineage.served, lineage.function, lineage.model
    return [
        ("site", "Site's line", _site(lineage)),
        ("served", "Recommendation", [served.recommendation_id, f"user {served.user_id}"]),
        (
            "function",
            "Function",
            [f"version {function.version}", function.name] if function else [],
        ),
        ("release", "Release", _release(lineage)),
        ("code", "Code", [function.code_version[:20]] if function else []),
        ("model", "Model", [formats.short(str(model.get("model_version")))] if model else []),
        ("dataset", "Data set", _dataset(lineage)),
        ("lake", "Lake", _lake(lineage)),
        ("kafka", "Kafka", _kafka(lineage)),
    ]


def _site(lineage: Lineage) -> list[str]:
    event = lineage.site_event
    if event is None:
        return []
    return [f"{utc(event['event_time']):%Y-%m-%d %H:%M:%S}", f"status {event.get('status')}"]


def _release(lineage: Lineage) -> list[str]:
    if not lineage.release:
        return []
    last = lineage.release[-1]
    return [
        str(last.get("release_id") or last.get("at") or ""),
        _counted(len(lineage.release), "step"),
    ]


def _dataset(lineage: Lineage) -> list[str]:
    if lineage.dataset is None:
        return []
    counts = lineage.dataset.get("counts", {})
    return [str(lineage.dataset.get("dataset_id")), f"{formats.number(counts.get('users'))} users"]


def _of_lake(lineage: Lineage, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (lineage.dataset or {}).get("lake", {}).get(name, {})
    return found


def _lake(lineage: Lineage) -> list[str]:
    return [f"{table} at {version}" for table, version in _of_lake(lineage, "versions").items()]


def _kafka(lineage: Lineage) -> list[str]:
    parts = _of_lake(lineage, "offsets")
    rows = sum(part["rows"] for part in parts.values())
    return [_counted(len(parts), "partition"), f"{formats.number(rows)} rows"] if parts else []


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _cut(lines: Sequence[str]) -> list[str]:
    return [line if len(line) <= _LETTERS else f"{line[: _LETTERS - 1]}…" for line in lines[:2]]


def _arrow(one: Box, other: Box) -> str:
    if one.left == other.left:
        x = one.left + WIDTH / 2
        return f"M{x:.0f} {one.top}V{other.top + HEIGHT + 6}"
    start, end = one.left + WIDTH, other.left - 6
    y, to = one.top + HEIGHT / 2, other.top + HEIGHT / 2
    middle = (start + end) / 2
    if y == to:
        return f"M{start} {y:.0f}H{end}"
    return f"M{start} {y - 12:.0f}H{middle:.0f}V{to:.0f}H{end}"
