"""Summary of a demo: the simulator's ledger reconciled with the lake's rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Counts = Mapping[str, int]

# The site gives up at 600 to 800 ms; the proxy answers within 400, by its fallback if need be.
_DEADLINE_MS = 400
# The ledger's error kind for a request that the site gave up.
_TIMED_OUT = "timed out"
# A cold start is late for one user; one request in twenty is an API that does not keep up.
_MOST_FALLBACKS = 0.05
# Of the processors' time. Below, nobody would notice.
_STOLEN_PERCENT = 5.0


@dataclass(frozen=True, slots=True)
class Lake:
    """Row counts of the lake after everything has arrived."""

    events: Counts
    quarantined: Counts
    served: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What a demo must reach to succeed."""

    events: int
    model_versions: Sequence[str]


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of a demo; `problems` is empty when it succeeded.

    `slow` does not fail a demo, since it depends on the machine; `make bench-loop` measures it
    against goals.
    """

    ok: bool
    problems: Sequence[str]
    slow: Sequence[str]
    events: Mapping[str, Counts]
    quarantined: Counts
    corrupted: Mapping[str, Counts]
    models: Sequence[Mapping[str, Any]]
    requests: Mapping[str, Any]
    outcomes: Mapping[str, Any]
    availability: float
    latency_ms: Mapping[str, float]
    phases_s: Mapping[str, float]
    total_s: float
    peak_rss_mb: Mapping[str, float]
    stolen_percent: float

    def as_json(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        return asdict(self)


def summarise(
    ledger: Mapping[str, Any],
    lake: Lake,
    expected: Expected,
    *,
    models: Sequence[Mapping[str, Any]],
    phases_s: Mapping[str, float],
    total_s: float,
    peak_rss_mb: Mapping[str, float],
    stolen_percent: float,
) -> Summary:
    """Return the summary of a demo; `ledger` is the simulator's.

    `stolen_percent` is CPU steal: the share of CPU time that the hypervisor gave to other machines.
    """
    asked = ledger["requests"]
    found = problems(ledger, lake, expected)
    return Summary(
        ok=not found,
        problems=found,
        slow=slowness(asked, stolen_percent),
        events={"produced": ledger["events"], "lake": _with_total(lake.events)},
        quarantined=_with_total(lake.quarantined),
        corrupted=ledger["corrupted"],
        models=models,
        requests={
            "total": asked["total"],
            "by_model_version": asked["by_model_version"],
            "by_source": asked["by_source"],
            "by_model_and_source": asked["by_model_and_source"],
            "by_status": asked["by_status"],
        },
        outcomes=ledger["outcomes"],
        availability=asked["availability"],
        latency_ms=asked["latency_ms"],
        phases_s={name: round(seconds, 1) for name, seconds in phases_s.items()},
        total_s=round(total_s, 1),
        peak_rss_mb={name: round(rss) for name, rss in peak_rss_mb.items()},
        stolen_percent=round(stolen_percent, 1),
    )


def problems(ledger: Mapping[str, Any], lake: Lake, expected: Expected) -> list[str]:
    """Return where ledger and lake disagree, and what the demo did not reach."""
    asked = ledger["requests"]
    found = [
        f"{name}: the site wrote {_as_text(wanted)}, the lake holds {got}"
        for name, wanted, got in _pairs(ledger, lake)
        if got not in wanted
    ]
    if ledger["unconfirmed"]:
        found.append(f"{ledger['unconfirmed']} lines were never confirmed by Kafka")
    if ledger["events"]["total"] < expected.events:
        found.append(f"{ledger['events']['total']} events, not {expected.events} or more")
    if asked["availability"] != 1.0:
        found.append(f"availability {asked['availability']}, not 1: {asked['by_error']}")
    found += [
        f"model {version} answered nobody from the model itself"
        for version in expected.model_versions
        if not asked["by_model_and_source"].get(version, {}).get("model")
    ]
    return found


def slowness(asked: Mapping[str, Any], stolen_percent: float) -> list[str]:
    """Return latencies and fallbacks past their limits, with CPU steal as a possible cause."""
    found = []
    fallbacks = asked["by_source"].get("fallback", 0)
    if fallbacks > _MOST_FALLBACKS * asked["total"]:
        found.append(f"{fallbacks} of {asked['total']} answers were fallbacks")
    p99_ms = asked["latency_ms"]["p99"]
    if p99_ms is not None and p99_ms >= _DEADLINE_MS:
        found.append(f"p99 {p99_ms} ms, not under {_DEADLINE_MS} ms")
    if (found or _timed_out(asked)) and stolen_percent >= _STOLEN_PERCENT:
        found.append(f"{stolen_percent:.0f}% of this machine's time went to others on its host")
    return found


def _timed_out(asked: Mapping[str, Any]) -> int:
    return int(asked["by_error"].get(_TIMED_OUT, 0))


def _pairs(ledger: Mapping[str, Any], lake: Lake) -> list[tuple[str, range, int]]:
    asked = ledger["requests"]
    answered = asked["by_status"].get("200", 0)
    # The proxy may have answered and journalled these after the site had given up.
    unheard = _timed_out(asked)
    produced = {kind: n for kind, n in ledger["events"].items() if kind != "total"}
    kinds = sorted(produced.keys() | lake.events.keys())
    return [
        *((f"{k} events", _exactly(produced.get(k, 0)), lake.events.get(k, 0)) for k in kinds),
        ("quarantined lines", _exactly(ledger["quarantined"]), sum(lake.quarantined.values())),
        ("served records", range(answered, answered + unheard + 1), lake.served),
    ]


def _exactly(count: int) -> range:
    return range(count, count + 1)


def _as_text(wanted: range) -> str:
    return str(wanted[0]) if len(wanted) == 1 else f"{wanted[0]} to {wanted[-1]}"


def _with_total(counts: Counts) -> dict[str, int]:
    return {"total": sum(counts.values()), **counts}
