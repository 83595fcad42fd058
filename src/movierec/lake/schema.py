"""The lake's tables: names, columns, partitions.

Delta tables on object storage, an open format that Spark, Trino, Athena and DuckDB read as well.
This module only describes them; `movierec.aws.delta_lake` reads and writes them.

Rows travel as `Columns`: one sequence per column, all of one length. Numbers are numpy arrays, or
lists in which None is null (NaN is not), text is a list of str, bytes a list of bytes, times are
numpy `datetime64[us]` in UTC (NaT is null), lists of text are lists of lists. A column that a batch
lacks altogether is null for the batch. Any of them may also be an Arrow column, which travels
without Python objects.

A table grows: a new column is written from then on, at the end of the columns here, and is null in
the rows of before. Readers see every column at every version. Columns are never removed, renamed or
given another type.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt


@runtime_checkable
class ArrowColumn(Protocol):
    """An array with Arrow's PyCapsule interface, in one piece or several, as of polars."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...

    def __getitem__(self, index: Any, /) -> Any: ...  # noqa: ANN401  an index, or an array of them

    def __array__(self) -> npt.NDArray[Any]: ...

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

    def to_list(self) -> list[Any]:
        """Return the values as Python objects."""
        ...


Column = npt.NDArray[Any] | Sequence[Any] | ArrowColumn
Columns = Mapping[str, Column]
"""One batch of rows by column name."""

ColumnType = Literal[
    "int64", "int32", "int16", "float64", "text", "bytes", "timestamp", "date", "texts"
]


@dataclass(frozen=True, slots=True)
class Table:
    """A table's name, its columns in order, and the columns it is partitioned by."""

    name: str
    columns: Mapping[str, ColumnType]
    partition_by: tuple[str, ...]


_KAFKA: Final[dict[str, ColumnType]] = {"kafka_partition": "int32", "kafka_offset": "int64"}

# Null in rows of before: then it was the topic of the setting.
_TOPIC: Final[dict[str, ColumnType]] = {"topic": "text"}

EVENTS: Final = Table(
    "events",
    {
        "kind": "text",
        "event_date": "date",
        "event_time": "timestamp",
        "user_id": "int64",
        "movie_id": "text",
        "minute": "int32",
        "rating": "int16",
        "status": "int16",
        "movie_ids": "texts",
        "error": "text",
        "latency_ms": "int32",
        "server": "text",
        **_KAFKA,
        **_TOPIC,
        # The site's text of the time, and how `event_time` follows from it (`lake.site_clock`);
        # null in rows of before: the text was taken as UTC.
        "site_time": "text",
        "utc_offset_minutes": "int16",
        "time_basis": "text",
    },
    partition_by=("kind", "event_date"),
)

SERVED: Final = Table(
    "served",
    {
        "served_date": "date",
        "served_at": "timestamp",
        "recommendation_id": "text",
        "user_id": "int64",
        "movie_ids": "texts",
        "model_version": "text",
        "function_version": "text",
        "source": "text",
        "status": "int16",
        "latency_ms": "float64",
        # Versioned JSON: what else is known of this answer (`api_contract.dump_detail`).
        "detail": "text",
    },
    partition_by=("served_date",),
)

QUARANTINE: Final = Table(
    "quarantine",
    {
        "quarantined_date": "date",
        "raw": "bytes",
        "reason": "text",
        **_KAFKA,
        "ingested_at": "timestamp",
        **_TOPIC,
        # Kafka's timestamp of the record; null without one.
        "record_time": "timestamp",
    },
    partition_by=("quarantined_date",),
)

ADULT_UNKNOWN: Final = -1
"""In `movies.adult` where the site has no value. Only 0 may be shown to minors: test `!= 0`."""

RUNTIME_UNKNOWN: Final = 0
"""In `movies.runtime_minutes`: any minute may be watched, and no share of the film is known."""

AGE_UNKNOWN: Final = -1
"""In `users.age` where the site has none: possibly a minor."""

# `release_date` is YYYY-MM-DD, YYYY-MM or YYYY, as far as the site knows it; `other` is a JSON
# object of the site's fields that no column holds in full.
MOVIES: Final = Table(
    "movies",
    {
        "movie_id": "text",
        "title": "text",
        "runtime_minutes": "int32",
        "adult": "int16",
        "genres": "texts",
        "release_date": "text",
        "loaded_at": "timestamp",
        "cost_usd": "float64",
        "imdb_id": "text",
        "tmdb_id": "int64",
        "vote_average": "float64",
        "vote_count": "int64",
        "popularity": "float64",
        "original_language": "text",
        "spoken_languages": "texts",
        "keywords": "texts",
        "overview": "text",
        "other": "text",
    },
    partition_by=(),
)

USERS: Final = Table(
    "users",
    {
        "user_id": "int64",
        "age": "int16",
        "gender": "text",
        "occupation": "text",
        "loaded_at": "timestamp",
        "self_description_likes": "text",
        "self_description_dislikes": "text",
        "other": "text",
    },
    partition_by=(),
)

TABLES: Final[Mapping[str, Table]] = {
    table.name: table for table in (EVENTS, SERVED, QUARANTINE, MOVIES, USERS)
}


def length(columns: Columns) -> int:
    """Return the number of rows. Raises ValueError if the columns disagree."""
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        sizes = {name: len(values) for name, values in columns.items()}
        raise ValueError(f"columns of different lengths: {sizes}")
    return lengths.pop() if lengths else 0


def as_rows(columns: Columns) -> list[dict[str, Any]]:
    """Return one dict a row: for small results, and for tests."""
    values = map(plain, columns.values())
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def plain(column: Column) -> npt.NDArray[Any] | Sequence[Any]:
    """Return an Arrow column as a list of Python objects, any other as it is."""
    return column.to_list() if isinstance(column, ArrowColumn) else column


def dates(times: npt.NDArray[np.datetime64]) -> npt.NDArray[np.datetime64]:
    """Return the UTC day of each time, the value that tables are partitioned by."""
    return times.astype("datetime64[D]")


def select(columns: Columns, keep: npt.NDArray[np.bool_]) -> Columns:
    """Return the rows marked in `keep`, shape (n,)."""
    if keep.all():
        return columns
    chosen = np.flatnonzero(keep)
    return {
        name: values[chosen]
        if isinstance(values, (np.ndarray, ArrowColumn))
        else [values[i] for i in chosen.tolist()]
        for name, values in columns.items()
    }
