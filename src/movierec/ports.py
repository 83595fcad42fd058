"""Ports that every package uses, as Protocols; `lake` and `releases` have their own.

`movierec.aws` implements them, `movierec.testing` has in-memory fakes; one contract suite in
`tests/contract/` runs on both.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

from movierec.metrics import Metric


class Clock(Protocol):
    """The wall clock."""

    def now(self) -> datetime:
        """Return the present, aware, in UTC."""
        ...


class ObjectStore(Protocol):
    """One bucket: keys to bytes.

    Every method may raise StoreError, BucketNotFoundError if the bucket is missing, and
    UnavailableError if the store does not answer.
    """

    def get(self, key: str) -> bytes:
        """Return an object's bytes. Raises ObjectNotFoundError."""
        ...

    def put(self, key: str, body: bytes) -> None:
        """Write an object, replacing any with that key."""
        ...

    def put_if_absent(self, key: str, body: bytes) -> None:
        """Write an object that must not exist (a conditional put). Raises ObjectExistsError."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that start with `prefix`, in byte order."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; one that does not exist is no error."""
        ...

    def download(self, key: str, path: Path) -> None:
        """Write an object's bytes to a local file. Raises ObjectNotFoundError."""
        ...


class MetricSink(Protocol):
    """Publishes a process's live metrics; Lambda functions emit theirs in their logs (EMF)."""

    def publish(self, values: Mapping[Metric, float], dimensions: Mapping[str, str]) -> None:
        """Publish values as of now, in `metrics.NAMESPACE`; without values nothing happens.

        `dimensions` maps names to values. Raises MetricsError when CloudWatch refuses them, and
        UnavailableError when it does not answer.
        """
        ...
