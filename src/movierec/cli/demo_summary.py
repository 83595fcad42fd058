"""A demo's summary, as values: the site's account compared with the lake's rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Counts = Mapping[str, int]

# The site gives up at 600 to 800 ms; the proxy answers within 400, by its fallback if need be.
_DEADLINE_MS = 400
# The site's word for a request that it gave up.
_TIMED_OUT = "timed out"
# A cold start is late for one user; one request in twenty is an API that does not keep up.
_MOST_FALLBACKS = 0.05
# Of the processors' time. Below, nobody would notice.
_STOLEN_PERCENT = 5.0


@dataclass(frozen=True, slots=True)
class Lake:
    """Rows in the lake when everything has arrived."""

    events: Counts
    quarantined: Counts
    served: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What a demo sets out to show."""

    events: int
    model_versions: Sequence[str]


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures, and what is wrong with them: nothing, if all went well.

    What is `slow` is no fault of the accounts, and right on another machine: it is said, and
    `make bench-loop` holds it against its goals.
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
        """Return it as JSON values."""
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
    """Return the summary of a demo; `ledger` is the simulator's own account.

    `stolen_percent` is the share of processor time that the machine did not get from its host.
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
    """Return what the two accounts disagree about, and what the demo failed to show."""
    asked = ledger["requests"]
    found = [
        f"{name}: the site wrote {_words(wanted)}, the lake holds {got}"
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
    """Return in what users had to wait, or were answered without their model for it, and why."""
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
    # Served, and on record, though the site no longer listened.
    unheard = _timed_out(asked)
    produced = {kind: n for kind, n in ledger["events"].items() if kind != "total"}
    kinds = sorted(produced.keys() | lake.events.keys())
    return [
        *((f"{k} events", _just(produced.get(k, 0)), lake.events.get(k, 0)) for k in kinds),
        ("quarantined lines", _just(ledger["quarantined"]), sum(lake.quarantined.values())),
        ("served records", range(answered, answered + unheard + 1), lake.served),
    ]


def _just(count: int) -> range:
    return range(count, count + 1)


def _words(wanted: range) -> str:
    return str(wanted[0]) if len(wanted) == 1 else f"{wanted[0]} to {wanted[-1]}"


def _with_total(counts: Counts) -> dict[str, int]:
    return {"total": sum(counts.values()), **counts}
