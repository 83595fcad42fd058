"""Lineages in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from movierec.errors import UnavailableError, UsageError
from movierec.provenance import lineage
from movierec.provenance.checks import Check
from movierec.provenance.lineage import Lineage
from movierec.provenance.ports import Lineages


@dataclass(slots=True)
class MemoryLineages:
    """`movierec.provenance.ports.Lineages`; `checks` are the answer of every verification.

    The next `fail_reads` readings raise UnavailableError.
    """

    found: Sequence[Lineage] = ()
    checks: tuple[Check, ...] = field(default=())
    fail_reads: int = 0

    def by_id(self, recommendation_id: str) -> Lineage:
        """Return the lineage of a recommendation by its X-Recommendation-Id."""
        self._fail()
        for each in self.found:
            if each.served.recommendation_id == recommendation_id:
                return each
        raise UsageError(f"no recommendation {recommendation_id!r} in the lake: check the id")

    def by_user(self, user_id: int, at: datetime) -> Lineage:
        """Return the lineage of a user's recommendation nearest to a time, within a day of it."""
        self._fail()
        rows = {each.served: each for each in self.found if each.served.user_id == user_id}
        near = [row for row in rows if abs(row.served_at - at) <= lineage.SITE_CLOCK_WITHIN]
        nearest = lineage.nearest(near, at)
        if nearest is None:
            raise UsageError(f"user {user_id} was served nothing within a day of {at.isoformat()}")
        return rows[nearest]

    def verify(self, lineage: Lineage) -> tuple[Check, ...]:  # noqa: ARG002  the port's
        """Return `checks`."""
        self._fail()
        return self.checks

    def _fail(self) -> None:
        if self.fail_reads > 0:
            self.fail_reads -= 1
            raise UnavailableError("reading lineages: failed on request of the test")


def _port() -> type[Lineages]:
    """Have mypy check this class against its Protocol."""
    return MemoryLineages
