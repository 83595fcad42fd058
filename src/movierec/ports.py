"""What the product asks of the world, as Protocols.

The real ones are in `movierec.aws`, in-memory ones in `movierec.testing`; one contract suite in
`tests/contract/` runs on both.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from movierec.lake import Columns
from movierec.live_metrics import Metric


class Clock(Protocol):
    """The time, as an argument."""

    def now(self) -> datetime:
        """Return the present, aware, in UTC."""
        ...


class ObjectStore(Protocol):
    """One bucket: keys to bytes.

    Every method may raise StoreError, BucketNotFoundError if the bucket is missing, and
    UnavailableError if nobody answers.
    """

    def get(self, key: str) -> bytes:
        """Return an object's bytes. Raises ObjectNotFoundError."""
        ...

    def put(self, key: str, body: bytes) -> None:
        """Write an object, replacing any with that key."""
        ...

    def put_if_absent(self, key: str, body: bytes) -> None:
        """Write an object that must not exist. Raises ObjectExistsError."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that start with `prefix`, in byte order."""
        ...

    def download(self, key: str, path: Path) -> None:
        """Write an object's bytes to a local file. Raises ObjectNotFoundError."""
        ...


class MetricSink(Protocol):
    """Where live metrics go from a process; a Lambda function has its log read for them."""

    def publish(self, values: Mapping[Metric, float], dimensions: Mapping[str, str]) -> None:
        """Publish values as of now, in `live_metrics.NAMESPACE`; without values nothing happens.

        `dimensions` are names to values. Raises MetricsError when they are refused, and
        UnavailableError when nobody answers.
        """
        ...


class LakeReader(Protocol):
    """The reading side of the lake, by SQL. Every method may raise LakeError, UnavailableError."""

    def version(self, table: str) -> int:
        """Return the table's present version. Raises TableNotFoundError."""
        ...

    def query(self, sql: str, versions: Mapping[str, int | None]) -> Any:  # noqa: ANN401  arro3's Table, which not every caller has
        """Run SQL over tables at versions, None for the newest.

        Raises TableNotFoundError, and VersionNotFoundError for a version that is no longer kept.
        """
        ...


class Lake(Protocol):
    """The tables of `movierec.lake`, written exactly once.

    Every method may raise LakeError and UnavailableError.
    """

    def append(
        self, table: str, batches: Sequence[Columns], *, transactions: Mapping[str, int]
    ) -> int:
        """Append rows in one atomic commit and return the table's new version.

        `transactions` maps a writer's name (`movielog1-0`) to the highest sequence number that
        this commit covers (a Kafka offset); it is stored with the rows, so that after a crash
        `transaction()` tells what is in. Columns that a batch lacks are null. A batch list
        without rows still commits the transactions.

        Raises ConflictError when, since this object last read or wrote the table, another writer
        committed under one of these names: the caller is stale and must not go on.
        """
        ...

    def transaction(self, table: str, name: str) -> int | None:
        """Return the last committed sequence number of `name`, or None.

        Looks at the table as it is now, and makes that the state `append` compares with.
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

    def quarantined_offsets(self, partition: int, *, after: int) -> frozenset[int]:
        """Return the Kafka offsets of a partition's quarantined lines past an offset."""
        ...
