"""Provenance: what a recommendation came from, as a graph, and checks of it on demand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from console.lineage_graph import Graph, graph_of
from console.page import Page, Panel, Query
from console.system import System
from movierec.errors import UsageError
from movierec.provenance import report
from movierec.provenance.checks import Check
from movierec.provenance.lineage import Lineage
from movierec.provenance.report import Section


@dataclass(frozen=True, slots=True)
class Traced:
    """A lineage: drawn, and in words."""

    recommendation_id: str
    graph: Graph
    sections: Sequence[Section]


@dataclass(frozen=True, slots=True)
class Checked:
    """What the checks found; those that do not hold come first."""

    checks: Sequence[Check]

    @property
    def broken(self) -> int:
        """How many do not hold."""
        return sum(not check.ok and not check.gone for check in self.checks)

    @property
    def gone(self) -> int:
        """How many are of data past its retention."""
        return sum(check.gone for check in self.checks)


def read_search(_: System, __: Query) -> None:
    """Nothing is read: the form has what the address says."""
    return


def read_chain(system: System, query: Query) -> Traced | None:
    """Return the lineage that was asked for; None if nothing was."""
    found = _lineage(system, query)
    if found is None:
        return None
    return Traced(found.served.recommendation_id, graph_of(found), report.render(found))


def read_checks(system: System, query: Query) -> Checked | None:
    """Read the data again and compare; None unless that was asked for."""
    found = _lineage(system, query) if query.text("verify") else None
    if found is None:
        return None
    checks = system.lineages().verify(found)
    return Checked(sorted(checks, key=lambda check: (check.ok, check.gone)))


def _lineage(system: System, query: Query) -> Lineage | None:
    name, user = query.text("id"), query.number("user")
    if name:
        return system.lineages().by_id(name)
    if user is None:
        return None
    return system.lineages().by_user(user, _time(query))


def _time(query: Query) -> datetime:
    text = query.text("at")
    if not text:
        return query.now
    try:
        at = datetime.fromisoformat(text)
    except ValueError as exc:
        raise UsageError(f"{text!r} is no time: expected one as 2026-11-20T10:15, in UTC") from exc
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


PAGE: Final = Page(
    "provenance",
    "Provenance",
    "What a recommendation came from: model, code, data, Kafka's offsets.",
    order=4,
    parameters=("id", "user", "at", "verify"),
    panels=(
        Panel("search", "Find a recommendation", read_search, span=3, refresh_s=0),
        Panel("chain", "Where it came from", read_chain, span=3, refresh_s=0, fresh_s=60),
        Panel("checks", "Checks", read_checks, span=3, refresh_s=0, fresh_s=60),
    ),
)
