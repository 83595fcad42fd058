"""Serialisation of a served recommendation: a line of the journal, a row of the lake."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from movierec.lake.schema import Columns, dates
from movierec.lake.served import Served

# One past what the lake's int64 and an HTTP status hold: a line damaged on disk must not stop the
# batch that it is in.
_TOO_LARGE: Final = 2**63
_STATUS_TOO_LARGE: Final = 1000

_TEXTS: Final = ("recommendation_id", "model_version", "function_version", "source")


def to_line(sequence: int, record: Served) -> bytes:
    """Return a record as one JSON line, newline included.

    A proxy of before `detail` puts lines with one aside as unreadable, and keeps them.
    """
    fields: dict[str, Any] = {
        "sequence": sequence,
        "served_at_us": record.served_at_us,
        "recommendation_id": record.recommendation_id,
        "user_id": record.user_id,
        "movie_ids": record.movie_ids,
        "model_version": record.model_version,
        "function_version": record.function_version,
        "source": record.source,
        "status": record.status,
        "latency_ms": record.latency_ms,
    }
    if record.detail is not None:
        fields["detail"] = record.detail
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes) -> tuple[int, Served] | None:
    """Return a journal line's sequence number and record, or None if it is none."""
    try:
        fields = json.loads(line)
        sequence = fields.pop("sequence")
        record = Served(**{**fields, "movie_ids": tuple(fields["movie_ids"])})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return (sequence, record) if _well_typed(sequence, record) else None


def _well_typed(sequence: object, record: Served) -> bool:
    whole = (sequence, record.served_at_us, record.user_id, record.status)
    texts = (getattr(record, name) for name in _TEXTS)
    detail = "" if record.detail is None else record.detail
    return (
        all(type(number) is int and 0 <= number < _TOO_LARGE for number in whole)
        and record.status < _STATUS_TOO_LARGE
        and all(isinstance(text, str) for text in (*texts, detail, *record.movie_ids))
        and isinstance(record.latency_ms, (int, float))
    )


def to_columns(records: Sequence[Served]) -> Columns:
    """Return records as a batch of the lake's table `served`."""
    served_at = np.array([record.served_at_us for record in records], "int64").view(
        "datetime64[us]"
    )
    return {
        "served_date": dates(served_at),
        "served_at": served_at,
        "user_id": np.array([record.user_id for record in records], "int64"),
        "movie_ids": [list(record.movie_ids) for record in records],
        "status": np.array([record.status for record in records], "int16"),
        "latency_ms": np.array([record.latency_ms for record in records], "float64"),
        **{name: _texts(records, name) for name in (*_TEXTS, "detail")},
    }


def _texts(records: Iterable[Served], name: str) -> list[Any]:
    return [getattr(record, name) for record in records]
