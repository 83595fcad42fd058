"""The lake on Delta tables: appended to exactly once, read at any version with SQL."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from arro3.core import (
    Array,
    DataType,
    Field,
    RecordBatch,
    RecordBatchReader,
    Schema,
    list_array,
)
from arro3.core import Table as ArrowTable
from deltalake import CommitProperties, DeltaTable, QueryBuilder, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from movierec import errors, settings
from movierec.lake import QUARANTINE, TABLES, Columns, ColumnType, Table, length

_TEXTS: Final = DataType.list(Field("element", DataType.utf8(), nullable=True))

_ARROW_TYPES: Final[Mapping[ColumnType, DataType]] = {
    "int64": DataType.int64(),
    "int32": DataType.int32(),
    "int16": DataType.int16(),
    "float64": DataType.float64(),
    "text": DataType.utf8(),
    "bytes": DataType.binary(),
    "timestamp": DataType.timestamp("us", tz="UTC"),
    "date": DataType.date32(),
    "texts": _TEXTS,
}

# A table nobody compacts grows a file per partition and commit; delta-rs writes a checkpoint of
# its log every 100 commits by default, so that opening the table stays cheap.
_TABLE_CONFIG: Final = {"delta.logRetentionDuration": "interval 30 days"}


class DeltaLake:
    """`movierec.ports.Lake` on Delta tables below one folder or `s3://bucket`."""

    def __init__(self, root: str, storage_options: Mapping[str, str] | None = None) -> None:
        self._root = root.rstrip("/")
        self._storage_options = dict(storage_options or {})
        self._open: dict[str, DeltaTable] = {}
        self._seen: dict[tuple[str, str], int | None] = {}

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "DeltaLake":
        """Open the lake in the bucket MOVIEREC_LAKE_BUCKET. Raises ConfigError."""
        bucket = settings.require(env, settings.LAKE_BUCKET)
        return cls(f"s3://{bucket}", _storage_options(env))

    def append(
        self, table: str, batches: Sequence[Columns], *, transactions: Mapping[str, int]
    ) -> int:
        """Append rows in one atomic commit; see `movierec.ports.Lake.append`.

        Two guards keep a stale writer out. What this object last saw under each transaction name
        must still be what the table says; and should another writer commit between that look and
        this commit, Delta's own conflict check refuses the second of two commits that carry the
        same name (Delta protocol, "Transaction Identifiers").
        """
        spec = TABLES[table]
        rows = _reader(spec, batches)
        delta = self._table(spec)
        with _delta_errors(f"append to {self._uri(table)}"):
            delta.update_incremental()
            self._refuse_stale(delta, table, transactions)
            write_deltalake(
                delta,
                rows,
                mode="append",
                commit_properties=CommitProperties(
                    app_transactions=[Transaction(name, seq) for name, seq in transactions.items()]
                ),
            )
        self._seen.update({(table, name): seq for name, seq in transactions.items()})
        return int(delta.version())

    def transaction(self, table: str, name: str) -> int | None:
        """Return the last committed sequence number of `name`, as the table is now."""
        try:
            delta = self._existing(table)
        except errors.TableNotFoundError:
            seen = None
        else:
            seen = delta.transaction_version(name)
        self._seen[table, name] = seen
        return seen

    def version(self, table: str) -> int:
        """Return the table's present version. Raises TableNotFoundError."""
        return int(self._existing(table).version())

    def count(self, table: str, by: str | None = None) -> Mapping[str, int]:
        """Return the number of rows for each value of column `by`, or `{"": n}`."""
        key = f"cast({by} as varchar)" if by else "''"
        try:
            rows = self.query(f"select {key} k, count(*) n from {table} group by 1", {table: None})  # noqa: S608  names of ours
        except errors.TableNotFoundError:
            return {}
        return dict(zip(rows.column("k").to_pylist(), rows.column("n").to_pylist(), strict=True))

    def quarantined_offsets(self, partition: int, *, after: int) -> frozenset[int]:
        """Return the Kafka offsets of a partition's quarantined lines past an offset."""
        sql = (
            "select kafka_offset from quarantine "  # noqa: S608  numbers
            f"where kafka_partition = {partition:d} and kafka_offset > {after:d}"
        )
        try:
            rows = self.query(sql, {QUARANTINE.name: None})
        except errors.TableNotFoundError:
            return frozenset()
        return frozenset(rows.column("kafka_offset").to_pylist())

    def query(self, sql: str, versions: Mapping[str, int | None]) -> ArrowTable:
        """Run SQL (Apache DataFusion's) over tables at given versions; None is the newest.

        Raises TableNotFoundError for a table that was never written.
        """
        builder = QueryBuilder()
        for table, version in versions.items():
            builder = builder.register(table, self._at(table, version))
        with _delta_errors(f"query {', '.join(versions)} in {self._root}"):
            return builder.execute(sql).read_all()

    def _at(self, table: str, version: int | None) -> DeltaTable:
        if version is None:
            return self._existing(table)
        with _delta_errors(f"open {self._uri(table)} at version {version}"):
            return DeltaTable(
                self._uri(table), version=version, storage_options=self._storage_options
            )

    def _existing(self, table: str) -> DeltaTable:
        with _delta_errors(f"open {self._uri(table)}"):
            if table not in self._open:
                self._open[table] = DeltaTable(
                    self._uri(table), storage_options=self._storage_options
                )
            else:
                self._open[table].update_incremental()
            return self._open[table]

    def _table(self, spec: Table) -> DeltaTable:
        if spec.name in self._open:
            return self._open[spec.name]
        with _delta_errors(f"create {self._uri(spec.name)}"):
            # mode="ignore": of two writers that start at once, one creates, both go on.
            DeltaTable.create(
                self._uri(spec.name),
                schema=_schema(spec),
                mode="ignore",
                partition_by=list(spec.partition_by),
                storage_options=self._storage_options,
                configuration=_TABLE_CONFIG,
            )
        return self._existing(spec.name)

    def _refuse_stale(self, delta: DeltaTable, table: str, transactions: Mapping[str, int]) -> None:
        for name in transactions:
            now = delta.transaction_version(name)
            if now != self._seen.get((table, name)):
                raise errors.ConflictError(
                    f"append to {self._uri(table)}: {name} stands at {now}, "
                    f"this writer last saw {self._seen.get((table, name))}: "
                    "another writer has taken over, this one must stop"
                )

    def _uri(self, table: str) -> str:
        return f"{self._root}/{table}"


def _storage_options(env: Mapping[str, str]) -> dict[str, str]:
    """Return what delta-rs needs beyond the AWS variables that it reads itself."""
    # etag: S3's conditional put decides between two writers, so no lock table is needed.
    options = {"aws_conditional_put": "etag"}
    endpoint = env.get("AWS_ENDPOINT_URL", "")
    if endpoint:
        options["aws_endpoint_url"] = endpoint
        options["aws_allow_http"] = str(endpoint.startswith("http://")).lower()
    return options


def _schema(spec: Table) -> Schema:
    return Schema([Field(name, _ARROW_TYPES[kind]) for name, kind in spec.columns.items()])


def _reader(spec: Table, batches: Sequence[Columns]) -> RecordBatchReader:
    # A commit without rows still carries its transactions: one empty batch stands for it.
    batches = batches or [{next(iter(spec.columns)): []}]
    arrow = [_record_batch(spec, batch) for batch in batches]
    return RecordBatchReader.from_batches(_schema(spec), arrow)


def _record_batch(spec: Table, batch: Columns) -> RecordBatch:
    unknown = batch.keys() - spec.columns.keys()
    if unknown:
        raise errors.LakeError(f"table {spec.name} has no column {', '.join(sorted(unknown))}")
    try:
        rows = length(batch)
        arrays = [
            _array(batch[name], kind) if name in batch else _nulls(rows, kind)
            for name, kind in spec.columns.items()
        ]
    except (TypeError, ValueError, OverflowError) as exc:
        raise errors.LakeError(f"table {spec.name} cannot hold this batch: {exc}") from exc
    return RecordBatch.from_arrays(arrays, schema=_schema(spec))


def _array(values: Any, kind: ColumnType) -> Array:  # noqa: ANN401  any column
    if kind == "texts":
        offsets = np.cumsum([0, *map(len, values)], dtype=np.int32)
        flat = Array([text for texts in values for text in texts], DataType.utf8())
        return list_array(Array.from_numpy(offsets), flat, type=_TEXTS)
    if kind in ("timestamp", "date"):
        # numpy counts both units in int64; Arrow's date is int32.
        ticks = np.asarray(values).astype(_TIME_UNITS[kind]).astype(np.int64)
        return Array.from_numpy(ticks).cast(_TIME_STORAGE[kind]).cast(_ARROW_TYPES[kind])
    if kind in _NUMBERS:
        given = np.asarray(values)
        fitted = np.ascontiguousarray(given.astype(_NUMBERS[kind]))
        # Arrow's cast would make a null of what does not fit.
        if not np.array_equal(fitted, given):
            raise ValueError(f"a value does not fit {kind}")
        return Array.from_numpy(fitted)
    return Array(list(values), _ARROW_TYPES[kind])


_NUMBERS: Final[Mapping[ColumnType, type[np.number[Any]]]] = {
    "int64": np.int64,
    "int32": np.int32,
    "int16": np.int16,
    "float64": np.float64,
}


_TIME_UNITS: Final = {"timestamp": "datetime64[us]", "date": "datetime64[D]"}
_TIME_STORAGE: Final = {"timestamp": DataType.int64(), "date": DataType.int32()}


def _nulls(rows: int, kind: ColumnType) -> Array:
    if kind == "texts":
        offsets = Array.from_numpy(np.zeros(rows + 1, np.int32))
        mask = Array.from_numpy(np.ones(rows, np.bool_))
        return list_array(offsets, Array([], DataType.utf8()), type=_TEXTS, mask=mask)
    if kind in _TIME_UNITS:
        return Array([None] * rows, _TIME_STORAGE[kind]).cast(_ARROW_TYPES[kind])
    return Array([None] * rows, _ARROW_TYPES[kind])


@contextmanager
def _delta_errors(what: str) -> Iterator[None]:
    try:
        yield
    except TableNotFoundError as exc:
        raise errors.TableNotFoundError(f"{what}: no such table yet") from exc
    except CommitFailedError as exc:
        raise errors.ConflictError(f"{what}: {exc}") from exc
    except (DeltaError, OSError) as exc:
        message = " ".join(_ANSI.sub("", str(exc)).split())
        if "NoSuchBucket" in message:
            raise errors.BucketNotFoundError(
                f"{what}: no such bucket; {errors.BucketNotFoundError.next_step}"
            ) from exc
        if "error sending request" in message:
            raise errors.UnavailableError(
                f"{what}: no answer; {errors.UnavailableError.next_step}"
            ) from exc
        raise errors.LakeError(f"{what}: {message}") from exc


# delta-rs colours the chain of its causes.
_ANSI: Final = re.compile(r"\x1b\[[0-9;]*m|↳")
