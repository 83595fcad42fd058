"""Ledger of what the simulator sent and got back, to check the product's numbers by."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from movierec.errors import UsageError
from movierec.runtime import atomic_file
from simulator.line_corruption import Detectability

FORMAT: Final = 1

UNKNOWN: Final = "unknown"
"""The model version or source of an answer whose headers do not say it."""


@dataclass(slots=True)
class Outcomes:
    """Outcomes of one model version's recommendation lists."""

    lists: int = 0
    movies: int = 0
    lists_watched: int = 0
    movies_watched: int = 0
    watch_share_sum: float = 0.0
    ratings: int = 0
    rating_sum: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the sums, and the shares that follow from them."""
        return {
            **{name: getattr(self, name) for name in Outcomes.__slots__},
            "share_of_lists_watched": _share(self.lists_watched, self.lists),
            "share_of_movies_watched": _share(self.movies_watched, self.movies),
            "watch_fraction": _share(self.watch_share_sum, self.movies_watched),
            "mean_rating": _share(self.rating_sum, self.ratings),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the sums of `as_json`."""
        return cls(**{name: data[name] for name in Outcomes.__slots__})


@dataclass(slots=True)
class Ledger:
    """Counts of lines and requests. Only lines that the broker has confirmed are `lines`.

    `corrupted` is by (corruption, detectability); `events` and `lines` by kind; `quarantined` is
    what must end in the quarantine table; `unconfirmed` lines may be in the topic or not;
    `next_offset` and `lines_of` are by partition; `latency` is by tenths of a millisecond.
    """

    lines: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    corrupted: Counter[tuple[str, str]] = field(default_factory=Counter)
    unconfirmed: int = 0
    first_offset: dict[int, int] = field(default_factory=dict)
    next_offset: dict[int, int] = field(default_factory=dict)
    lines_of: Counter[int] = field(default_factory=Counter)
    status: Counter[str] = field(default_factory=Counter)
    error: Counter[str] = field(default_factory=Counter)
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)
    latency: Counter[int] = field(default_factory=Counter)
    outcomes: dict[str, Outcomes] = field(default_factory=dict)

    def count_lines(self, kind: str, count: int = 1) -> None:
        """Count valid lines of one kind."""
        self.lines[kind] += count
        self.events[kind] += count

    def count_corrupted(self, kind: str, corruption: str, detectability: Detectability) -> None:
        """Count that one of the lines counted was corrupted; a duplicate is one line more."""
        self.corrupted[corruption, detectability] += 1
        if detectability is Detectability.DETECTABLE:
            self.events[kind] -= 1
        elif detectability is Detectability.DUPLICATE:
            self.lines[kind] += 1

    def count_offsets(self, partition: int, first: int, following: int, lines: int) -> None:
        """Count lines that went to offsets first..following - 1 of a partition."""
        self.first_offset[partition] = min(first, self.first_offset.get(partition, first))
        self.next_offset[partition] = max(following, self.next_offset.get(partition, 0))
        self.lines_of[partition] += lines

    def count_request(
        self, status: int, error: str | None, model: str, source: str, latency_ms: float
    ) -> None:
        """Count one request for recommendations, as the site saw it."""
        self.status[str(status)] += 1
        if error is None:
            self.answered[model, source] += 1
        else:
            self.error[error] += 1
        self.latency[round(latency_ms * 10)] += 1

    def outcome(self, model: str) -> Outcomes:
        """Return the outcomes of a model version, to be added to."""
        return self.outcomes.setdefault(model, Outcomes())

    @property
    def quarantined(self) -> int:
        """Return how many lines must end in quarantine."""
        return sum(
            n
            for (_, detectability), n in self.corrupted.items()
            if detectability != Detectability.SILENT
        )

    def add(self, other: "Ledger") -> None:
        """Add another ledger to this one."""
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))
        self.unconfirmed += other.unconfirmed
        for partition, following in other.next_offset.items():
            self.count_offsets(partition, other.first_offset[partition], following, 0)
        for model, outcomes in other.outcomes.items():
            mine = self.outcome(model)
            for name in Outcomes.__slots__:
                setattr(mine, name, getattr(mine, name) + getattr(outcomes, name))

    def as_json(self) -> dict[str, Any]:
        """Return the counts, and the totals and shares that follow from them."""
        requests = self.status.total()
        return {
            "format": FORMAT,
            "lines": {"total": self.lines.total(), **self.lines},
            "events": {"total": self.events.total(), **self.events},
            "quarantined": self.quarantined,
            "corrupted": _nested(self.corrupted),
            "unconfirmed": self.unconfirmed,
            "offsets": {
                str(p): {
                    "first": self.first_offset[p],
                    "next": self.next_offset[p],
                    "lines": self.lines_of[p],
                }
                for p in sorted(self.next_offset)
            },
            "requests": {
                "total": requests,
                "availability": _share(self.status["200"], requests),
                "by_status": dict(self.status),
                "by_error": dict(self.error),
                "by_model_version": _sums(self.answered, 0),
                "by_source": _sums(self.answered, 1),
                "by_model_and_source": _nested(self.answered),
                "latency_ms": _percentiles(self.latency),
                "latency_tenths_ms": {str(k): n for k, n in sorted(self.latency.items())},
            },
            "outcomes": {model: o.as_json() for model, o in self.outcomes.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the ledger that `as_json` has written."""
        requests, offsets = data["requests"], data["offsets"]
        return cls(
            lines=_without_total(data["lines"]),
            events=_without_total(data["events"]),
            corrupted=_flat(data["corrupted"]),
            unconfirmed=data["unconfirmed"],
            first_offset={int(p): o["first"] for p, o in offsets.items()},
            next_offset={int(p): o["next"] for p, o in offsets.items()},
            lines_of=Counter({int(p): o["lines"] for p, o in offsets.items()}),
            status=Counter(requests["by_status"]),
            error=Counter(requests["by_error"]),
            answered=_flat(requests["by_model_and_source"]),
            latency=Counter({int(k): n for k, n in requests["latency_tenths_ms"].items()}),
            outcomes={m: Outcomes.from_json(o) for m, o in data["outcomes"].items()},
        )


_COUNTERS: Final = (
    "lines", "events", "corrupted", "lines_of", "status", "error", "answered", "latency",
)  # fmt: skip


def _without_total(counts: Mapping[str, int]) -> Counter[str]:
    return Counter({kind: n for kind, n in counts.items() if kind != "total"})


def _nested(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (outer, inner), n in sorted(counts.items()):
        nested.setdefault(outer, {})[inner] = n
    return nested


def _flat(nested: Mapping[str, Mapping[str, int]]) -> Counter[tuple[str, str]]:
    pairs = ((outer, inner, n) for outer, counts in nested.items() for inner, n in counts.items())
    return Counter({(outer, inner): n for outer, inner, n in pairs})


def _sums(counts: Mapping[tuple[str, str], int], position: int) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for pair, n in counts.items():
        sums[pair[position]] += n
    return dict(sums)


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 6) if whole else None


def _percentiles(tenths: Mapping[int, int]) -> dict[str, float | None]:
    """Return percentiles in ms: the smallest latency that at least so many requests kept to."""
    names = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    ordered, total = sorted(tenths.items()), sum(tenths.values())
    return {name: _quantile(ordered, share * total) for name, share in names}


def _quantile(ordered: Iterable[tuple[int, int]], rank: float) -> float | None:
    running, value = 0, None
    for key, n in ordered:
        running += n
        value = key / 10
        if running >= rank:
            break
    return value


class LedgerFile:
    """The ledger as a JSON file, replaced atomically."""

    def __init__(self, path: Path | None, now: Callable[[], str], facts: Mapping[str, Any]) -> None:
        """`facts` are written along; `now` tells the time; no path: nothing is written."""
        self._path = path
        self._now = now
        self._facts = {**facts, "started_at": now()}

    def read(self) -> Ledger:
        """Return the ledger of an earlier run, empty if there is none. Raises UsageError."""
        if self._path is None or not self._path.exists():
            return Ledger()
        try:
            return Ledger.from_json(json.loads(self._path.read_bytes()))
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise UsageError(
                f"{self._path} is no ledger of this program ({exc!r}): "
                "name another file, or leave out --continue-ledger"
            ) from exc

    def write(self, ledger: Ledger, *, finished: bool) -> None:
        """Replace the file. Raises UsageError when the folder cannot be written."""
        if self._path is None:
            return
        body = {**self._facts, "updated_at": self._now(), "finished": finished, **ledger.as_json()}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Not durable: written every second, for as long as this machine is up.
            atomic_file.write_whole(self._path, json.dumps(body, indent=1) + "\n", durable=False)
        except OSError as exc:
            raise UsageError(f"ledger {self._path} cannot be written: {exc}") from exc
