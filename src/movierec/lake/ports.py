"""Ports of the lake: reading by SQL, and writing exactly once."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from movierec.lake.schema import Columns


class LakeReader(Protocol):
    """The reading side of the lake, by SQL. Every method may raise LakeError, UnavailableError."""

    def version(self, table: str) -> int:
        """Return the table's present version. Raises TableNotFoundError."""
        ...

    def query(self, sql: str, versions: Mapping[str, int | None]) -> Any:  # noqa: ANN401  arro3's Table
        """Run SQL over tables at versions, None for the newest.

        Columns that a version does not have yet are null.
        Raises TableNotFoundError, and VersionNotFoundError for a version that is no longer kept.
        """
        ...


class Lake(Protocol):
    """The tables of `movierec.lake.schema`, written exactly once.

    Every method may raise LakeError and UnavailableError.
    """

    def append(
        self, table: str, batches: Sequence[Columns], *, transactions: Mapping[str, int]
    ) -> int:
        """Append rows in one atomic commit and return the table's new version.

        `transactions` maps a writer's name (`movielog1-0`) to the highest sequence number that
        this commit covers (a Kafka offset); it is stored with the rows, so that after a crash
        `transaction()` returns what is committed. Columns that a batch lacks are null. A batch
        list without rows still commits the transactions.

        Raises ConflictError when, since this object last read or wrote the table, another writer
        committed under one of these names: the caller is stale and must stop.
        """
        ...

    def transaction(self, table: str, name: str) -> int | None:
        """Return the last committed sequence number of `name`, or None.

        Reads the table's present version, which becomes the one that `append` compares with.
        """
        ...

    def version(self, table: str) -> int:
        """Return the table's present version. Raises TableNotFoundError."""
        ...

    def count(self, table: str, by: str | None = None) -> Mapping[str, int]:
        """Return the number of rows for each value of column `by`, or `{"": n}`.

        A table that was never written has none: `{}`.
        """
        ...

    def quarantined_offsets(
        self, topics: Collection[str | None], partition: int, *, after: int
    ) -> frozenset[int]:
        """Return the Kafka offsets of a partition's quarantined lines past an offset.

        `topics` are the topic's names in the table: None is that of rows of before.
        """
        ...
