"""Ports that every part of the product uses, as Protocols; those of lake and releases are theirs.

The real ones are in `movierec.aws`, in-memory ones in `movierec.testing`; one contract suite in
`tests/contract/` runs on both.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

from movierec.metrics import Metric


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
