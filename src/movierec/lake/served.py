"""A served recommendation: a line of the proxy's journal, a row of the lake's table `served`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

_EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Served:
    """One recommendation as it was served.

    `served_at_us` is microseconds since 1970, UTC: integers survive a round trip through a file. A
    `function_version` of "" is the proxy's own answer. `detail` is JSON of
    `movierec.api_contract.dump_detail`, None where there is none.
    """

    served_at_us: int
    recommendation_id: str
    user_id: int
    movie_ids: tuple[str, ...]
    model_version: str
    function_version: str
    source: str
    status: int
    latency_ms: float
    detail: str | None = None

    @property
    def served_at(self) -> datetime:
        """The time, in UTC."""
        return _EPOCH + timedelta(microseconds=self.served_at_us)


def detail_of(found: Served) -> Mapping[str, Any] | None:
    """Return a recommendation's detail; a text that is none, as `text`."""
    if found.detail is None:
        return None
    try:
        detail = json.loads(found.detail)
    except ValueError:
        detail = None
    return detail if isinstance(detail, dict) else {"text": found.detail}


def refresh_of(found: Served) -> int:
    """Return the number of the overlay that a recommendation was made with, 0 without one."""
    number = (detail_of(found) or {}).get("refresh", 0)
    return number if isinstance(number, int) else 0


def microseconds(at: datetime) -> int:
    """Return the microseconds since 1970 of an aware time, exactly."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def from_row(row: Mapping[str, Any]) -> Served:
    """Return a row of the lake as a value; null becomes empty, and stays None in `detail`."""
    return Served(
        served_at_us=microseconds(utc(row["served_at"])),
        recommendation_id=row["recommendation_id"] or "",
        user_id=int(row["user_id"]),
        movie_ids=tuple(row["movie_ids"] or ()),
        model_version=row["model_version"] or "",
        function_version=row["function_version"] or "",
        source=row["source"] or "",
        status=int(row["status"] or 0),
        latency_ms=float(row["latency_ms"] or 0),
        detail=row.get("detail"),
    )


def utc(time: datetime) -> datetime:
    """Return a time in UTC; one without a zone is taken for UTC."""
    return time.astimezone(UTC) if time.tzinfo is not None else time.replace(tzinfo=UTC)


def from_microseconds(epoch_us: int) -> str:
    """Return microseconds since 1970 as ISO 8601, UTC."""
    return (_EPOCH + timedelta(microseconds=epoch_us)).isoformat()
