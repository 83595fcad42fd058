"""The lake's columns as Arrow's: types, record batches, and nulls for what a version lacks."""

from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np
from arro3.core import Array, ChunkedArray, DataType, Field, RecordBatch, Schema, list_array

from movierec.errors import LakeError
from movierec.lake.schema import Columns, ColumnType, Table, length

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

_SQL_TYPES: Final[Mapping[ColumnType, str]] = {
    "int64": "Int64",
    "int32": "Int32",
    "int16": "Int16",
    "float64": "Float64",
    "text": "Utf8",
    "bytes": "Binary",
    "timestamp": 'Timestamp(Microsecond, Some("UTC"))',
    "date": "Date32",
    "texts": "List(Utf8)",
}


def lacking(table: Table, present: Collection[str]) -> str:
    """Return the SQL of the columns that a version of a table does not have yet, as nulls."""
    return ", ".join(
        f"arrow_cast(null, '{_SQL_TYPES[kind]}') as {name}"
        for name, kind in table.columns.items()
        if name not in present
    )


def schema(spec: Table) -> Schema:
    """Return a table's columns as Arrow has them."""
    return Schema([Field(name, _ARROW_TYPES[kind]) for name, kind in spec.columns.items()])


def empty_batch(spec: Table) -> Columns:
    """Return a batch without rows, for a commit of transactions alone."""
    return {next(iter(spec.columns)): []}


def record_batch(spec: Table, batch: Columns) -> RecordBatch:
    """Return rows of a table. Raises LakeError for what it cannot hold."""
    unknown = batch.keys() - spec.columns.keys()
    if unknown:
        raise LakeError(f"table {spec.name} has no column {', '.join(sorted(unknown))}")
    try:
        rows = length(batch)
        arrays = [
            _array(batch[name], kind) if name in batch else _nulls(rows, kind)
            for name, kind in spec.columns.items()
        ]
    except (TypeError, ValueError, OverflowError) as exc:
        raise LakeError(f"table {spec.name} cannot hold this batch: {exc}") from exc
    return RecordBatch.from_arrays(arrays, schema=schema(spec))


def _array(values: Any, kind: ColumnType) -> Array:  # noqa: ANN401  any column
    if hasattr(values, "__arrow_c_stream__") or hasattr(values, "__arrow_c_array__"):
        return _fitted(ChunkedArray.from_arrow(values).combine_chunks(), kind)
    if kind == "texts":
        offsets = np.cumsum([0, *map(len, values)], dtype=np.int32)
        flat = Array([text for texts in values for text in texts], DataType.utf8())
        return list_array(Array.from_numpy(offsets), flat, type=_TEXTS)
    if kind in ("timestamp", "date"):
        # numpy counts both units in int64; Arrow's date is int32.
        times = np.asarray(values).astype(_TIME_UNITS[kind])
        if np.isnat(times).any():
            ticks = [None if tick == _NAT else tick for tick in times.astype(np.int64).tolist()]
            return Array(ticks, _TIME_STORAGE[kind]).cast(_ARROW_TYPES[kind])
        return (
            Array.from_numpy(times.astype(np.int64))
            .cast(_TIME_STORAGE[kind])
            .cast(_ARROW_TYPES[kind])
        )
    if kind in _NUMBERS and not (isinstance(values, list) and None in values):
        given = np.asarray(values)
        fitted = np.ascontiguousarray(given.astype(_NUMBERS[kind]))
        # Arrow's cast turns a value that does not fit into null.
        if not np.array_equal(fitted, given):
            raise ValueError(f"a value does not fit {kind}")
        return Array.from_numpy(fitted)
    return Array(list(values), _ARROW_TYPES[kind])


def _fitted(values: Array, kind: ColumnType) -> Array:
    """Return an Arrow array as the column's type. Raises ValueError if a value would change."""
    wanted = _ARROW_TYPES[kind]
    fitted = values if values.type == wanted else values.cast(wanted)
    # Arrow's cast turns a value that does not fit into null, and a fraction into a whole number.
    same = fitted.null_count == values.null_count
    if not same or (kind in _NUMBERS and fitted.cast(values.type) != values):
        raise ValueError(f"a value does not fit {kind}")
    return fitted


_NUMBERS: Final[Mapping[ColumnType, type[np.number[Any]]]] = {
    "int64": np.int64,
    "int32": np.int32,
    "int16": np.int16,
    "float64": np.float64,
}


_NAT: Final = np.iinfo(np.int64).min
_TIME_UNITS: Final = {"timestamp": "datetime64[us]", "date": "datetime64[D]"}
_TIME_STORAGE: Final = {"timestamp": DataType.int64(), "date": DataType.int32()}


def _nulls(rows: int, kind: ColumnType) -> Array:
    if kind == "texts":
        offsets = Array.from_numpy(np.zeros(rows + 1, np.int32))
        mask = Array.from_numpy(np.ones(rows, np.bool_))
        return list_array(offsets, Array([], DataType.utf8()), type=_TEXTS, mask=mask)
    one = Array([None], _TIME_STORAGE.get(kind, _ARROW_TYPES[kind])).cast(_ARROW_TYPES[kind])
    return one.take(Array.from_numpy(np.zeros(rows, np.uint32)))
