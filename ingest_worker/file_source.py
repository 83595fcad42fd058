"""A dump as the worker's source: one partition, the offset of a line is its number from 0."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Final

import numpy as np

from ingest_worker import dump_lines
from ingest_worker.batcher import Records
from ingest_worker.dump_lines import Dump

PARTITION: Final = 0

# The number of lines is not known before the end; no file has as many.
_NO_END: Final = 1 << 62
_HEAD_BYTES: Final = 1 << 20
_63_BITS: Final = (1 << 63) - 1


class FileSource:
    """`ingest_worker.worker.Source` on a file, which is read again from its start to seek."""

    def __init__(
        self, topic: str, identity: int, opened: Callable[[], AbstractContextManager[Dump]]
    ) -> None:
        self.topic = topic
        self.read_bytes = 0
        self.ended = False
        self.taken_over = False
        """Whether another process has begun to load the same file."""
        self._identity = identity
        self._opened = opened
        self._batches: Iterator[Records] = iter(())
        self._next = 0

    def poll(self, timeout_s: float) -> Mapping[int, Records]:  # noqa: ARG002  a file never waits
        """Return the next lines."""
        records = next(self._batches, None)
        self.ended = records is None
        if records is None:
            return {}
        self._next = int(records.offsets[-1]) + 1
        return {PARTITION: records}

    def seek(self, partition: int, offset: int) -> None:  # noqa: ARG002  there is but one
        """Continue reading at a line's number."""
        self._batches, self._next, self.ended = self._read(offset), offset, False

    def commit(self, last_offsets: Mapping[int, int]) -> None:
        """Do nothing: the lake alone knows what is loaded."""

    def bounds(self, partition: int) -> tuple[int, int]:  # noqa: ARG002
        """Return that all lines are there, and that their number is not known."""
        return 0, _NO_END

    def end(self, partition: int) -> int | None:  # noqa: ARG002
        """Return that the number of lines is not known."""
        return None

    def position(self, partition: int) -> int:  # noqa: ARG002
        """Return the number of the next line."""
        return self._next

    def topic_id(self) -> int | None:
        """Return a number that another file would not have."""
        return self._identity

    def relinquish(self, partitions: Iterable[int]) -> None:
        """Stop: another process loads the file."""
        self.taken_over = bool(list(partitions))

    def _read(self, start: int) -> Iterator[Records]:
        with ExitStack() as stack:
            dump = stack.enter_context(self._opened())
            first, take = 0, None
            for lines in dump.batches():
                if take is None:
                    prefixed = dump_lines.is_prefixed(lines)
                    take = dump_lines.without_prefixes if prefixed else dump_lines.untimed
                offsets = np.arange(first, first + len(lines), dtype=np.int64)
                first += len(lines)
                self.read_bytes = dump.position
                if first > start:
                    yield Records(offsets, *take(lines)).after(start - 1)


def identity(path: Path) -> int:
    """Return a number that tells a file from another: of its size, and of its first bytes."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    digest = hashlib.sha256(path.stat().st_size.to_bytes(8) + head).digest()
    return int.from_bytes(digest[:8]) & _63_BITS


def topic_of(path: Path) -> str:
    """Return the topic that a file's lines get: unlike any of Kafka's that they came from."""
    return "file-" + re.sub(r"[^A-Za-z0-9._-]+", "-", path.name.removesuffix(".gz"))[:200]
