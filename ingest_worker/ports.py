"""Where the worker's lines come from, and who is asked about movies and users."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from ingest_worker.batcher import Records
from movierec.site.api_client import Fetched


class Source(Protocol):
    """A consumer of one topic; partitions come and go with the group's rebalances."""

    topic: str

    def poll(self, timeout_s: float) -> Mapping[int, Records]:
        """Return new records by partition; waits at most `timeout_s` for the first."""
        ...

    def seek(self, partition: int, offset: int) -> None:
        """Continue reading at an offset, or at the oldest available one if that is newer."""
        ...

    def commit(self, last_offsets: Mapping[int, int]) -> None:
        """Commit offsets to the consumer group."""
        ...

    def bounds(self, partition: int) -> tuple[int, int]:
        """Return the oldest available offset, and the one after the newest."""
        ...

    def end(self, partition: int) -> int | None:
        """Return the offset after the newest line as of the last poll, None before."""
        ...

    def position(self, partition: int) -> int:
        """Return the offset of the next record that `poll` may return.

        Those before it that were not returned are no records of ours: a transaction's markers,
        and what it took back.
        """
        ...

    def topic_id(self) -> int | None:
        """Return a number that a topic made again would not have; None if there is none."""
        ...

    def relinquish(self, partitions: Iterable[int]) -> None:
        """Stop reading partitions that another worker has taken over, and rejoin the group."""
        ...


class Site(Protocol):
    """The site's API, within its limits."""

    @property
    def url(self) -> str:
        """The site's base URL."""
        ...

    def fetch(self, *, movies: Iterable[str], users: Iterable[int], within_s: float) -> Fetched:
        """Return what the site says of ids before the deadline."""
        ...
