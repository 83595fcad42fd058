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
from movierec.routing import Alias, Routing


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


class ServedFunction(Protocol):
    """The API's function: its published versions, and the alias that users come through.

    Every method may raise ReleaseError, ReleaseNotFoundError when the function does not exist,
    and UnavailableError.
    """

    name: str

    def alias(self) -> Alias | None:
        """Return the alias, None before the first release."""
        ...

    def point(self, routing: Routing, release_id: str, *, over: Alias | None) -> None:
        """Send users where a routing says, at once and as a whole.

        `over` is the alias that this was decided on, None to make the first one. Raises
        ReleaseConflictError when it is no longer as it was.
        """
        ...

    def force(self, routing: Routing, release_id: str) -> None:
        """Send users where a routing says, whatever anybody else decided meanwhile."""
        ...

    def version_with(self, model_version: str) -> str | None:
        """Return the newest version of the present code with a model, None if there is none."""
        ...

    def publish(self, model_version: str, description: str) -> str:
        """Publish the present code with a model, and return the version."""
        ...

    def model_of(self, version: str) -> str | None:
        """Return the model that a version is pinned to, None for whatever is newest."""
        ...

    def invoke(self, version: str, event: Mapping[str, Any]) -> object:
        """Return a version's answer to an event, as JSON or text."""
        ...


class CanaryAlarms(Protocol):
    """The alarms on a canary's version, which live as long as its release.

    Every method can be repeated, and may raise UnavailableError and ReleaseError.
    """

    def arm(self, version: str) -> None:
        """Watch a version that is about to get its first users."""
        ...

    def expect_data(self, version: str) -> None:
        """Also raise the alarm when a version that has had users for a while tells nothing."""
        ...

    def disarm(self, version: str) -> None:
        """Watch a version no more."""
        ...


class NoticeTopic(Protocol):
    """Where people subscribe to hear of releases. May raise UnavailableError, ReleaseError."""

    def publish(self, subject: str, text: str, attributes: Mapping[str, str]) -> str:
        """Send a message to all who subscribed, and return its id.

        `subject` has at most 100 characters of ASCII; `attributes` are for machines.
        """
        ...
