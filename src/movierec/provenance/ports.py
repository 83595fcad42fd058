"""Port of provenance: finds lineages."""

from datetime import datetime
from typing import Protocol

from movierec.provenance.checks import Check
from movierec.provenance.lineage import Lineage


class Lineages(Protocol):
    """Finds the lineage of recommendations.

    Methods raise UsageError when there is no such recommendation, LakeError, StoreError and
    UnavailableError. A later link that is missing ends the lineage, which names it.
    """

    def by_id(self, recommendation_id: str) -> Lineage:
        """Return the lineage of a recommendation by its X-Recommendation-Id."""
        ...

    def by_user(self, user_id: int, at: datetime) -> Lineage:
        """Return the lineage of a user's recommendation nearest to a time, within a day of it."""
        ...

    def verify(self, lineage: Lineage) -> tuple[Check, ...]:
        """Read the data again, at the versions that the manifests name, and compare."""
        ...
