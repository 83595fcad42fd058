"""Lake maintenance: delete rows past their retention, compact small files, vacuum deleted ones.

Theory of operation. All of it is commits to tables with concurrent appends:

- Compaction (`OPTIMIZE`) changes no row and does not conflict with appends.
- Deleting old rows conflicts with an append that began before it and ends after it;
  `DeltaLake.append` then retries. It loses to an append of rows as old as those, and to another
  maintenance run; it is then retried here.
- Setting the retention, once, conflicts with appends as deleting does.
- `VACUUM` spares all files of the present version, and those younger than the retention, among
  them files of appends that are not committed yet. A version that lacks one of its files
  afterwards can no longer be read.
- Transactions of writers (`DeltaLake.transaction`) are neither rows nor files: commits and
  checkpoints preserve them.

A call that ends in the middle leaves whole commits; the next one does the rest.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from deltalake import DeltaTable

from movierec.aws.delta_lake import DeltaLake, delta_errors
from movierec.errors import ConflictError, LakeError, TableNotFoundError
from movierec.lake.maintenance import (
    LakeFile,
    Partition,
    Policy,
    compaction_candidates,
    expired,
    retention_properties,
)
from movierec.lake.schema import TABLES, Table
from movierec.ports import Clock

log = logging.getLogger(__name__)

# A conflict is with an append of a second or another run's commit: both end within 15 s.
_RETRY_DELAYS_S: Final = (1.0, 2.0, 4.0, 8.0)

# Measured: 35 MB/s and 160 MB of memory for each task, no faster with two on two cores. A busy
# site's day, a gigabyte, takes half a minute; none is begun that the call's timeout might cut off.
_TASKS: Final = 1
_RESERVE_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Maintained:
    """Result of one table's maintenance; `error` is empty, or what ended it."""

    table: str
    version: int
    rows_deleted: int = 0
    files_removed: int = 0
    files_added: int = 0
    files_vacuumed: int = 0
    partitions_left: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class LakeMaintainer:
    """Maintains every table that exists.

    `pause` sleeps for some seconds; `time_left_s` returns the time until the call's deadline.
    """

    lake: DeltaLake
    policy: Policy
    clock: Clock
    pause: Callable[[float], object]
    time_left_s: Callable[[], float]

    def maintain(self) -> list[Maintained]:
        """Maintain table by table; one that fails does not stop the next.

        Raises UnavailableError when the store does not answer.
        """
        return list(self._maintain_all())

    def _maintain_all(self) -> Iterator[Maintained]:
        for table in TABLES.values():
            try:
                delta = self.lake.open(table.name)
            except TableNotFoundError:
                continue
            counts, error = Counter[str](), ""
            try:
                self._maintain(table, delta, counts)
            except LakeError as exc:
                error = str(exc)
            yield Maintained(table.name, int(delta.version()), **counts, error=error)

    def _maintain(self, table: Table, delta: DeltaTable, counts: Counter[str]) -> None:
        before = delta.version()
        self._set_retention(table, delta)
        counts["rows_deleted"] += self._delete(table, delta)
        counts["files_vacuumed"] += self._vacuum(table, delta)
        self._compact(table, delta, counts)
        if delta.version() != before:
            with delta_errors(f"write a checkpoint of {table.name}"):
                # The next reader opens this one file, not a day's commits.
                delta.create_checkpoint()
                delta.cleanup_metadata()

    def _set_retention(self, table: Table, delta: DeltaTable) -> None:
        """Set the retention as the table's properties, which vacuum, checkpoints and Spark obey."""
        wanted = retention_properties(self.policy.vacuum_retention_hours)
        if not wanted.items() <= delta.metadata().configuration.items():
            self._committed(
                delta,
                f"set the retention of {table.name}",
                lambda: delta.alter.set_table_properties(wanted),
            )

    def _delete(self, table: Table, delta: DeltaTable) -> int:
        predicate = expired(table.name, self.clock.now().date(), self.policy)
        if predicate is None:
            return 0
        result = self._committed(
            delta, f"delete in {table.name}: {predicate}", lambda: delta.delete(predicate)
        )
        return int(result.get("num_deleted_rows", 0))

    def _vacuum(self, table: Table, delta: DeltaTable) -> int:
        # full: also the files of writers that died before their commit.
        removed = self._committed(
            delta,
            f"vacuum {table.name}",
            lambda: delta.vacuum(dry_run=False, full=True),
        )
        return len(removed)

    def _compact(self, table: Table, delta: DeltaTable, counts: Counter[str]) -> None:
        due = compaction_candidates(_files(table, delta), self.policy)
        for done, partition in enumerate(due):
            if self.time_left_s() < _RESERVE_S:
                counts["partitions_left"] = len(due) - done
                return
            result = self._compact_one(table, delta, partition)
            counts["files_removed"] += result["numFilesRemoved"]
            counts["files_added"] += result["numFilesAdded"]

    def _compact_one(self, table: Table, delta: DeltaTable, partition: Partition) -> dict[str, Any]:
        return self._committed(
            delta,
            f"compact {table.name} {dict(partition)}",
            lambda: delta.optimize.compact(
                [(column, "=", value) for column, value in partition],
                target_size=self.policy.target_bytes,
                max_concurrent_tasks=_TASKS,
            ),
        )

    def _committed[T](self, delta: DeltaTable, what: str, act: Callable[[], T]) -> T:
        """Run `act` on the table's newest version, and retry it on a conflict."""
        delays_s = iter(_RETRY_DELAYS_S)
        while True:
            try:
                with delta_errors(what):
                    delta.update_incremental()
                    return act()
            except ConflictError as exc:
                delay_s = next(delays_s, None)
                if delay_s is None:
                    raise
                log.warning("upkeep_overtaken", extra={"error": str(exc), "retry_in_s": delay_s})
                self.pause(delay_s)


def _files(table: Table, delta: DeltaTable) -> list[LakeFile]:
    with delta_errors(f"list the files of {table.name}"):
        files = delta.get_add_actions(flatten=True)
    values = [
        ["" if value is None else str(value) for value in files[f"partition.{column}"].to_pylist()]
        for column in table.partition_by
    ]
    return [
        LakeFile(tuple(zip(table.partition_by, place, strict=True)), size_bytes)
        for *place, size_bytes in zip(*values, files["size_bytes"].to_pylist(), strict=True)
    ]
