"""Ask the site for what the catalog lacks, and keep the answers as they come.

Rows are committed every few seconds, and once more whatever ends the command: the next sync asks
for the rest.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from movierec.aws import lake_catalog
from movierec.aws.delta_lake import DeltaLake
from movierec.errors import MovierecError
from movierec.lake.schema import Columns, length
from movierec.ports import Clock
from movierec.site.api_client import SiteClient
from movierec.site.reply_format import Answer, Kind
from movierec.site.unknown_ids import UnknownIds

# A commit is a file: few of them, and little to ask again after a kill -9.
_ROWS: Final = 5000
_SECONDS: Final = 10.0

_TABLES: Final[Mapping[Kind, str]] = {"movie": "movies", "user": "users"}

OnProgress = Callable[[int, int, str], None]
"""Is called with ids done, ids in all, and a note."""


class _Batch:
    """Answers that are not in the lake yet."""

    def __init__(self, lake: DeltaLake, unknown: UnknownIds, clock: Clock, rows: int) -> None:
        self._lake, self._unknown, self._clock = lake, unknown, clock
        self._most = rows
        self._pending: dict[Kind, list[Columns]] = {"movie": [], "user": []}
        self._since_s = time.monotonic()
        self._changed = False
        self.stored: Counter[Kind] = Counter()

    def add(self, answer: Answer) -> None:
        self._pending[answer.kind].append(answer.rows)
        self._unknown.note(
            answer.kind,
            asked=answer.asked,
            unknown=answer.unknown,
            now=self._clock.now(),
        )
        self._changed = True
        rows = sum(length(one) for batches in self._pending.values() for one in batches)
        if rows >= self._most or time.monotonic() - self._since_s > _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Commit the rows; those of a commit that fails are dropped."""
        pending, self._pending = self._pending, {"movie": [], "user": []}
        self._since_s = time.monotonic()
        rows = {kind: [one for one in found if length(one)] for kind, found in pending.items()}
        lake_catalog.store(self._lake, rows["movie"], rows["user"])
        self.stored.update({kind: sum(map(length, found)) for kind, found in rows.items()})
        if self._changed:
            self._changed = False
            self._unknown.save()


def run(
    lake: DeltaLake,
    client: SiteClient,
    unknown: UnknownIds,
    clock: Clock,
    on_progress: OnProgress,
    *,
    rows_per_commit: int = _ROWS,
) -> Mapping[str, Any]:
    """Store what the site says of every id that is in the lake and not in the catalog.

    Returns, for each table, the rows stored, and the ids that gave none, by reason: `not_found`,
    `no_answer`, and `not_asked` for those that were unknown a short while ago.
    """
    missing = lake_catalog.missing(lake)
    wanted: dict[Kind, list[str]] = {"movie": missing.movies, "user": missing.users}
    batch = _Batch(lake, unknown, clock, rows_per_commit)
    rejected: dict[Kind, Counter[str]] = {kind: Counter() for kind in wanted}
    try:
        try:
            for kind, ids in wanted.items():
                asked = unknown.due(kind, ids, clock.now())
                rejected[kind]["not_asked"] = len(ids) - len(asked)
                done = 0
                for answer in client.answers(kind, asked):
                    batch.add(answer)
                    rejected[kind]["not_found"] += len(answer.unknown)
                    rejected[kind]["no_answer"] += len(answer.failed)
                    done += len(answer.asked)
                    on_progress(done, len(asked), f"{kind}s")
        finally:
            batch.flush()
    except MovierecError as exc:
        stored = sum(batch.stored.values())
        raise type(exc)(
            f"{exc}; {stored} rows are stored, the next sync asks for the rest"
        ) from exc
    return {
        table: {"rows": batch.stored[kind], "rejected": dict(+rejected[kind])}
        for kind, table in _TABLES.items()
    }
