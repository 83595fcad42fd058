"""In-memory ports, for tests of this product and of code built on it.

They pass the same contract suite as the implementations in `movierec.aws`, and fail on request.
They are thread-safe.
"""

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from movierec.errors import (
    ConflictError,
    LakeError,
    ObjectExistsError,
    ObjectNotFoundError,
    TableNotFoundError,
    UnavailableError,
)
from movierec.lake.quarantined import QuarantineLake
from movierec.lake.schema import (
    QUARANTINE,
    TABLES,
    Columns,
    ColumnType,
    Table,
    as_rows,
    length,
    plain,
)
from movierec.metrics import Metric, require_numbers
from movierec.ports import Clock, MetricSink, ObjectStore
from movierec.testing.memory_quarantine import MemoryQuarantine

_NUMPY: Final[Mapping[ColumnType, str]] = {
    "int64": "int64",
    "int32": "int32",
    "int16": "int16",
    "float64": "float64",
    "timestamp": "datetime64[us]",
    "date": "datetime64[D]",
}


class FakeClock:
    """A clock that moves only by `advance`."""

    def __init__(self, start: datetime = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        """Return the present, aware, in UTC."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds`, or back if negative."""
        self._now += timedelta(seconds=seconds)


class MemoryStore:
    """A bucket in memory.

    The next `fail_puts` writes and the next `fail_gets` reads raise UnavailableError and change
    nothing; both counters may be set again at any time.
    """

    def __init__(
        self, objects: Mapping[str, bytes] | None = None, *, fail_puts: int = 0, fail_gets: int = 0
    ) -> None:
        self.objects = dict(objects or {})
        self.fail_puts = fail_puts
        self.fail_gets = fail_gets
        self._lock = threading.RLock()

    def get(self, key: str) -> bytes:
        """Return an object's bytes. Raises ObjectNotFoundError."""
        with self._lock:
            if self.fail_gets > 0:
                self.fail_gets -= 1
                raise UnavailableError(f"reading {key}: failed on request of the test")
            try:
                return self.objects[key]
            except KeyError:
                raise ObjectNotFoundError(f"no object {key} in this store") from None

    def put(self, key: str, body: bytes) -> None:
        """Write an object, replacing any with that key."""
        with self._lock:
            self._fail_put(key)
            self.objects[key] = bytes(body)

    def put_if_absent(self, key: str, body: bytes) -> None:
        """Write an object that must not exist. Raises ObjectExistsError."""
        with self._lock:
            self._fail_put(key)
            if key in self.objects:
                raise ObjectExistsError(f"{key} is there already, and is never replaced")
            self.objects[key] = bytes(body)

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that start with `prefix`, in byte order."""
        with self._lock:
            found = [key for key in self.objects if key.startswith(prefix)]
        yield from sorted(found, key=lambda key: key.encode())

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; one that does not exist is no error."""
        with self._lock:
            for key in tuple(keys):
                self.objects.pop(key, None)

    def download(self, key: str, path: Path) -> None:
        """Write an object's bytes to a local file. Raises ObjectNotFoundError."""
        path.write_bytes(self.get(key))

    def _fail_put(self, key: str) -> None:
        if self.fail_puts > 0:
            self.fail_puts -= 1
            raise UnavailableError(f"writing {key}: failed on request of the test")


class MemorySink:
    """Metrics in memory: `published` holds each call's values, by metric, and dimensions.

    The next `fail_puts` calls raise UnavailableError and keep nothing.
    """

    def __init__(self, *, fail_puts: int = 0) -> None:
        self.fail_puts = fail_puts
        self.published: list[tuple[dict[Metric, float], dict[str, str]]] = []
        self._lock = threading.Lock()

    def publish(self, values: Mapping[Metric, float], dimensions: Mapping[str, str]) -> None:
        """Store values; without any nothing happens. Raises MetricsError for a non-finite one."""
        with self._lock:
            if self.fail_puts > 0:
                self.fail_puts -= 1
                raise UnavailableError("publishing metrics: failed on request of the test")
            require_numbers(values)
            if values:
                self.published.append((dict(values), dict(dimensions)))


@dataclass(slots=True)
class _Stored:
    """One table: rows in commit order, and for each version the transactions it carried."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    commits: list[dict[str, int]] = field(default_factory=list)

    @property
    def version(self) -> int:
        return len(self.commits) - 1

    def last(self, name: str) -> tuple[int, int | None]:
        """Return the version that last carried `name` and its number; (-1, None) if none did."""
        for version in range(self.version, -1, -1):
            if name in self.commits[version]:
                return version, self.commits[version][name]
        return -1, None


class MemoryLake(MemoryQuarantine):
    """The lake's tables in memory, with Delta's rules for concurrent writers.

    `rival()` opens the same tables as another writer. The next `fail_appends` appends raise
    UnavailableError and change nothing; the next `lose_answers` appends after them commit and then
    raise UnavailableError, as when a connection breaks after the commit; the next `fail_reads`
    calls of the reading methods raise UnavailableError.
    """

    def __init__(
        self, *, fail_appends: int = 0, lose_answers: int = 0, fail_reads: int = 0
    ) -> None:
        self.fail_appends = fail_appends
        self.lose_answers = lose_answers
        self.fail_reads = fail_reads
        self._tables: dict[str, _Stored] = {}
        self._seen: dict[tuple[str, str], int] = {}
        self._lock = threading.RLock()

    def rival(self) -> Self:
        """Return another writer on the same tables, which has read nothing yet."""
        other = type(self)()
        other._tables, other._lock = self._tables, self._lock  # noqa: SLF001  its own class
        return other

    def append(
        self, table: str, batches: Sequence[Columns], *, transactions: Mapping[str, int]
    ) -> int:
        """Append rows in one atomic commit and return the table's new version.

        Raises ConflictError when another writer committed under one of these names since this
        object last read or wrote the table; LakeError for rows that the table cannot hold.
        """
        schema = _table(table)
        rows = [row for batch in batches for row in _rows(schema, batch)]
        with self._lock:
            self._fail("fail_appends", f"appending to {table}")
            stored = self._tables.get(table, _Stored())
            self._refuse_if_stale(table, stored, transactions)
            stored.rows += rows
            stored.commits.append(dict(transactions))
            self._tables[table] = stored
            self._fail("lose_answers", f"the answer to an append to {table}")
            self._seen.update({(table, name): stored.version for name in transactions})
            return stored.version

    def transaction(self, table: str, name: str) -> int | None:
        """Return the last committed sequence number of `name`, or None.

        Reads the table's present version, which becomes the one that `append` compares with.
        """
        with self._lock:
            stored = self._read(table)
            self._seen[table, name], sequence = stored.last(name)
            return sequence

    def version(self, table: str) -> int:
        """Return the table's present version. Raises TableNotFoundError."""
        with self._lock:
            stored = self._read(table)
            if not stored.commits:
                raise TableNotFoundError(f"table {table} has never been written")
            return stored.version

    def count(self, table: str, by: str | None = None) -> Mapping[str, int]:
        """Return the number of rows for each value of column `by`, or `{"": n}`.

        A table that was never written has none: `{}`.
        """
        with self._lock:
            stored = self._read(table)
            if not stored.commits:
                return {}
            if by is None:
                return {"": len(stored.rows)}
            return Counter(str(row[by]) for row in stored.rows)

    def quarantined_offsets(
        self, topics: Collection[str | None], partition: int, *, after: int
    ) -> frozenset[int]:
        """Return the Kafka offsets of a partition's quarantined lines past an offset."""
        with self._lock:
            rows = self._read(QUARANTINE.name).rows
            return frozenset(
                row["kafka_offset"]
                for row in rows
                if row["topic"] in topics
                and row["kafka_partition"] == partition
                and row["kafka_offset"] > after
            )

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return every row in commit order, as Python values; a null is None, times are aware."""
        with self._lock:
            return [dict(row) for row in self._tables.get(table, _Stored()).rows]

    def _table_rows(self, table: str) -> list[dict[str, Any]]:
        """Return a table's rows, the list itself."""
        return self._read(table).rows

    def _read(self, table: str) -> _Stored:
        _table(table)
        self._fail("fail_reads", f"reading {table}")
        return self._tables.get(table, _Stored())

    def _fail(self, counter: str, doing: str) -> None:
        left = getattr(self, counter)
        if left > 0:
            setattr(self, counter, left - 1)
            raise UnavailableError(f"{doing}: failed on request of the test")

    def _refuse_if_stale(
        self, table: str, stored: _Stored, transactions: Mapping[str, int]
    ) -> None:
        # A writer that has read nothing assumes that its name was never used.
        clash = [
            name
            for name in transactions
            if stored.last(name)[0] != self._seen.get((table, name), -1)
        ]
        if clash:
            raise ConflictError(
                f"{table}: another writer committed as {', '.join(clash)} since this one's read: "
                "this one is stale and must stop"
            )


def _table(name: str) -> Table:
    if name not in TABLES:
        raise LakeError(f"no table {name}: the lake has {', '.join(TABLES)}")
    return TABLES[name]


def _rows(table: Table, batch: Columns) -> list[dict[str, Any]]:
    unknown = sorted(set(batch) - set(table.columns))
    if unknown:
        raise LakeError(f"table {table.name} has no column {', '.join(unknown)}")
    try:
        rows = length(batch)
        present = {name: _values(table.columns[name], plain(batch[name])) for name in batch}
    except (ValueError, TypeError, OverflowError) as exc:
        raise LakeError(f"table {table.name} cannot hold this batch: {exc}") from exc
    nulls = [None] * rows
    return as_rows({name: present.get(name, nulls) for name in table.columns})


def _values(kind: ColumnType, values: npt.NDArray[Any] | Sequence[Any]) -> list[Any]:
    if kind in ("text", "bytes", "texts"):
        return [_text(kind, value) for value in values]
    if isinstance(values, list) and None in values:
        return [None if value is None else _values(kind, [value])[0] for value in values]
    given = np.asarray(values)
    wanted = np.dtype(_NUMPY[kind])
    if not len(given):
        return []
    # `same_kind` wraps 70,000 into an int16 silently: integers are compared as well.
    cast = given.astype(wanted, casting="same_kind")
    if wanted.kind == "i" and not np.array_equal(cast, given):
        raise OverflowError(f"a value does not fit {kind}")
    return [_aware(value) for value in cast.tolist()]


def _text(kind: ColumnType, value: object) -> object:
    if kind == "texts" and isinstance(value, (list, tuple)):
        if not all(isinstance(item, str) for item in value):
            raise TypeError(f"expected lists of str, got {value!r}")
        return list(value)
    if value is None or isinstance(value, {"text": str, "bytes": bytes}.get(kind, ())):
        return value
    raise TypeError(f"expected {kind}, got {value!r}")


def _aware(value: object) -> object:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _ports() -> tuple[type[Clock], type[ObjectStore], type[MetricSink], type[QuarantineLake]]:
    """Have mypy check these classes against their Protocols."""
    return FakeClock, MemoryStore, MemorySink, MemoryLake
