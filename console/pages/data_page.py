"""Data: what comes in, what is no event, what waits, and what was found in the newest data set."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from console.charts import Chart, Series, Tone
from console.page import Page, Panel, Query
from console.stored_reports import DatasetReport, newest_dataset
from console.system import System
from movierec.lake.activity import Quarantined

_TONES: Final[Mapping[str, Tone]] = {
    "watch": "ours",
    "recommend": "also",
    "rate": "good",
    "create_account": "warn",
}

# Enough to see what is wrong with a form of line; more is what `movierec quarantine list` is for.
_EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True)
class Lines:
    """Events by kind over the window."""

    totals: Mapping[str, int]
    minutes: float
    chart: Chart


def read_lines(system: System, query: Query) -> Lines:
    """Return the events by slot and kind."""
    window = query.window
    found = system.activity().lines(window)
    counts = {(each.at, each.kind): each.lines for each in found}
    totals, starts = Counter[str](), window.slots()
    for each in found:
        totals[each.kind] += each.lines
    series = [
        Series(
            kind,
            [_rate(counts.get((at, kind), 0), at, query) for at in starts],
            tone=_TONES.get(kind, "soft"),
        )
        for kind, _ in totals.most_common()
    ]
    chart = Chart("Events a minute, by kind", [at.timestamp() for at in starts], series)
    minutes = (window.until - window.since).total_seconds() / 60
    return Lines(dict(totals.most_common()), minutes, chart)


def _rate(lines: int, at: datetime, query: Query) -> float | None:
    """Return a slot's lines a minute; None of the slot that goes on, which has not all of its."""
    if at + timedelta(seconds=query.window.slot_s) > query.now:
        return None
    return lines * 60 / query.window.slot_s


def read_ingest(system: System, _: Query) -> Mapping[str, Any]:
    """Return what the ingest worker says of itself."""
    return system.ingest()


def read_quarantine(system: System, query: Query) -> Sequence[Quarantined]:
    """Return what came to quarantine in the window, with examples."""
    return system.activity().quarantined(query.window.since, _EXAMPLES)


def read_waiting(system: System, _: Query) -> Mapping[str, Any]:
    """Return what waits in quarantine for the catalog."""
    found: Mapping[str, Any] = system.ingest()["waiting"]
    return found


def read_violations(system: System, _: Query) -> DatasetReport | None:
    """Return what the newest data set's values were found to be; None without one."""
    return newest_dataset(system.store())


PAGE: Final = Page(
    "data",
    "Data",
    "What the site's lines become, and what is wrong with those that become nothing.",
    order=2,
    windowed=True,
    panels=(
        Panel("lines", "Events", read_lines, span=3, refresh_s=15),
        Panel("ingest", "Ingest worker", read_ingest),
        Panel("waiting", "Lines that wait", read_waiting),
        Panel("quarantine", "Quarantine", read_quarantine, span=2, refresh_s=20, fresh_s=10),
        Panel(
            "violations",
            "Newest data set: values as declared",
            read_violations,
            "/models",
            span=3,
            refresh_s=60,
            fresh_s=30,
        ),
    ),
)
