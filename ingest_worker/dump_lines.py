"""Read a dump of the site's log: lines in batches, from a file, a gzip file or standard input.

Memory is bounded whatever the file: a batch is a few MiB, and of a line that is longer than that
only the beginning is kept, which is then no event.

`kafka-console-consumer --property print.timestamp=true` writes each record's time before its line,
`CreateTime:1694712007402<tab>`, and perhaps more fields that end in a tab: where the first lines
have that prefix, it is cut off and its time is the record's.
"""

import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from ingest_worker.line_fields import Ints
from ingest_worker.line_parser import binary
from movierec.errors import ConfigError

STDIN: Final = "-"

_BATCH_BYTES: Final = 16 << 20
_BATCH_LINES: Final = 200_000
_PIECE_BYTES: Final = 64 << 10
_LONGEST_LINE_BYTES: Final = 1 << 20
_GZIP_MAGIC: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"

NO_TIME_MS: Final = -1
"""Of a line without a record's time, as of a record of Kafka without one."""

# A site's line has a comma before any tab, and no field before it has one.
_PREFIX: Final = r"^(?:CreateTime|LogAppendTime|NoTimestampType):(-?[0-9]{1,18})\t(?:[^\t,]*\t)*"
_PREFIX_RE: Final = re.compile(_PREFIX.encode())
# Of the first lines that have the prefix, in a file of that form: a few may be corrupt.
_PREFIXED_SHARE: Final = 0.5
_FIRST_LINES: Final = 100


@dataclass(slots=True)
class Dump:
    """An open dump; `position` counts the bytes of the file that have been read."""

    name: str
    size_bytes: int | None
    head: bytes
    is_gzip: bool
    _raw: io.BufferedReader
    _plain: io.BufferedIOBase
    cut_short: bool = False
    """Whether a gzip file ended in the middle, or is damaged from some point on."""

    @property
    def position(self) -> int:
        """How many bytes of the file have been read, packed as they are."""
        return self._raw.tell() if self._raw.seekable() else 0

    def batches(self) -> Iterator[list[bytes]]:
        """Yield the lines in order, without their LF.

        Of a file that grows meanwhile, those that were there when it was opened.
        """
        for lines in self._chunks():
            for i in range(0, len(lines), _BATCH_LINES):
                yield lines[i : i + _BATCH_LINES]

    def _chunks(self) -> Iterator[list[bytes]]:
        rest = b""
        first = True
        while chunk := self._read():
            if first:
                chunk, first = chunk.removeprefix(_BOM), False
            *lines, last = chunk.split(b"\n")
            if lines:
                lines[0] = rest + lines[0]
                rest = last
                yield lines
            else:
                rest = (rest + last)[:_LONGEST_LINE_BYTES]
        if rest:
            yield [rest]

    def _read(self) -> bytes:
        if not self.is_gzip:
            left = _BATCH_BYTES if self.size_bytes is None else self.size_bytes - self._raw.tell()
            return self._plain.read(max(min(left, _BATCH_BYTES), 0))
        # In small pieces: of a piece that ends in an error nothing is had.
        pieces, size = [], 0
        try:
            while size < _BATCH_BYTES and (piece := self._plain.read(_PIECE_BYTES)):
                pieces.append(piece)
                size += len(piece)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            self.cut_short = True
        return b"".join(pieces)


@contextmanager
def opened(name: str) -> Iterator[Dump]:
    """Open a dump by its file's name, `-` for standard input. Raises ConfigError."""
    if name == STDIN:
        yield of(sys.stdin.buffer, "standard input", None)
        return
    try:
        path = Path(name)
        with path.open("rb") as file:
            yield of(file, name, path.stat().st_size if path.is_file() else None)
    except OSError as exc:
        if exc.filename is None:
            raise
        raise ConfigError(f"{name}: {exc.strerror}; name a file of the site's log lines") from exc


def of(raw: Any, name: str, size_bytes: int | None) -> Dump:  # noqa: ANN401  any binary stream
    """Return the dump that a stream holds."""
    stream: io.BufferedReader = (
        raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(raw)
    )
    head = stream.peek(_HEAD_BYTES)[:_HEAD_BYTES]
    is_gzip = head.startswith(_GZIP_MAGIC)
    plain: io.BufferedIOBase = gzip.GzipFile(fileobj=stream) if is_gzip else stream
    return Dump(name, size_bytes, head, is_gzip, stream, plain)


_HEAD_BYTES: Final = 4096


def is_prefixed(lines: Sequence[bytes]) -> bool:
    """Return whether a file that begins with these lines has a record's time before each line."""
    first = [line for line in lines[:_FIRST_LINES] if line.strip()]
    matching = sum(_PREFIX_RE.match(line) is not None for line in first)
    return bool(first) and matching >= _PREFIXED_SHARE * len(first)


def without_prefixes(lines: Sequence[bytes]) -> tuple[pl.Series, Ints]:
    """Return lines without the records' times, and the times in milliseconds since 1970."""
    raw = binary(lines)
    try:
        text = raw.cast(pl.String)
    except pl.exceptions.ComputeError:  # some line is no UTF-8
        return _one_by_one(lines)
    times = text.str.extract(_PREFIX).cast(pl.Int64).fill_null(NO_TIME_MS)
    return text.str.replace(_PREFIX, "").cast(pl.Binary), times.to_numpy().astype(np.int64)


def _one_by_one(lines: Sequence[bytes]) -> tuple[pl.Series, Ints]:
    matches = [_PREFIX_RE.match(line) for line in lines]
    bare = [
        line[match.end() :] if match else line for line, match in zip(lines, matches, strict=True)
    ]
    times = [int(match[1]) if match else NO_TIME_MS for match in matches]
    return binary(bare), np.array(times, np.int64)


def untimed(lines: Sequence[bytes]) -> tuple[pl.Series, Ints]:
    """Return lines of a plain dump, and that none has a time."""
    return binary(lines), np.full(len(lines), NO_TIME_MS, np.int64)
