"""What happened lately, by SQL over the lake's tables."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from movierec.aws import lake_catalog
from movierec.aws.delta_lake import DeltaLake
from movierec.lake.activity import Answers, Exposure, LineCount, Quarantined, ServedGroup, Window
from movierec.lake.schema import EVENTS, MOVIES, QUARANTINE, SERVED, USERS, as_rows
from movierec.lake.served import Served, from_row, microseconds, utc

_Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class DeltaActivity:
    """`movierec.lake.activity.LakeActivity` on Delta tables.

    Not for several threads at once: the lake's handles are not.
    """

    lake: DeltaLake

    def answers(self, window: Window) -> Answers:
        """Return what the site logged of its requests."""
        rows = self._rows(_ANSWERS.format(at="null", where=_within(window), group=""), EVENTS.name)
        return _answers(rows[0]) if rows else Answers(0, 0)

    def answers_by_slot(self, window: Window) -> Sequence[Answers]:
        """Return the same by slot, in order; slots without requests are left out."""
        sql = _ANSWERS.format(
            at=_slot(window), where=_within(window), group="group by 1 order by 1"
        )
        return [_answers(row) for row in self._rows(sql, EVENTS.name)]

    def served(self, window: Window) -> Sequence[ServedGroup]:
        """Return the recommendations by version, model and source, most first."""
        rows = self._rows(_SERVED.format(where=_within(window, "served")), SERVED.name)
        return [ServedGroup(**row) for row in rows]

    def lines(self, window: Window) -> Sequence[LineCount]:
        """Return the events by slot and kind, in order."""
        sql = _LINES.format(at=_slot(window), where=_within(window))
        return [LineCount(**{**row, "at": utc(row["at"])}) for row in self._rows(sql, EVENTS.name)]

    def quarantined(self, since: datetime, examples: int) -> Sequence[Quarantined]:
        """Return what came to quarantine since a time, by reason, most first."""
        found = self._rows(_REASONS.format(where=_since(since)), QUARANTINE.name)
        return [self._quarantined(row, since, examples) for row in found]

    def served_to(self, user_id: int, most: int) -> Sequence[Served]:
        """Return the newest recommendations of a user, newest first."""
        sql = _SERVED_TO.format(user=int(user_id), most=int(most))
        return [from_row(row) for row in self._rows(sql, SERVED.name)]

    def did(self, user_id: int, most: int) -> Sequence[Mapping[str, Any]]:
        """Return the newest watch and rate events of a user, newest first, as rows."""
        rows = self._rows(_DID.format(user=int(user_id), most=int(most)), EVENTS.name)
        return [{**row, "event_time": utc(row["event_time"])} for row in rows]

    def profile(self, user_id: int) -> Mapping[str, Any] | None:
        """Return what the site said last of a user, None if nothing."""
        sql = f"select * from users where user_id = {user_id:d} order by loaded_at desc limit 1"  # noqa: S608  a number
        return next(iter(self._rows(sql, USERS.name)), None)

    def movie(self, movie_id: str) -> Mapping[str, Any] | None:
        """Return what the catalog says of a movie, None if it lacks it."""
        sql = (
            f"select * from movies where movie_id = {_text(movie_id)} "  # noqa: S608  see _text
            "order by loaded_at desc limit 1"
        )
        return next(iter(self._rows(sql, MOVIES.name)), None)

    def exposure(self, movie_id: str, window: Window) -> Sequence[Exposure]:
        """Return a movie's exposure by model version, most first."""
        listed = _LISTED.format(movie=_text(movie_id), where=_within(window, "served"))
        watched = _WATCHED.format(movie=_text(movie_id), where=_within(window))
        seen = {row["user_id"] for row in self._rows(watched, EVENTS.name)}
        return [
            Exposure(
                row["model_version"],
                row["lists"],
                len(row["users"]),
                row["mean_rank"],
                len(seen.intersection(row["users"])),
            )
            for row in self._rows(listed, SERVED.name)
        ]

    def titles(self, movie_ids: Collection[str]) -> Mapping[str, str]:
        """Return the titles of those of these movies that the catalog names."""
        return lake_catalog.titles(self.lake, sorted(movie_ids))

    def _quarantined(self, row: Mapping[str, Any], since: datetime, examples: int) -> Quarantined:
        # A query for each reason keeps no more than the examples in memory.
        sql = _EXAMPLES.format(reason=_text(row["reason"]), where=_since(since), most=int(examples))
        raw = tuple(each["raw"] for each in self._rows(sql, QUARANTINE.name)) if examples else ()
        return Quarantined(row["reason"], row["lines"], utc(row["oldest"]), utc(row["newest"]), raw)

    def _rows(self, sql: str, table: str) -> _Rows:
        found = self.lake.query_if_any(sql, table)
        if found is None:
            return []
        return as_rows({name: found.column(name).to_pylist() for name in found.column_names})


def _answers(row: Mapping[str, Any]) -> Answers:
    at = utc(row["at"]) if row["at"] is not None else None
    p50, p95, p99 = (
        None if row[name] is None else float(row[name]) for name in ("p50", "p95", "p99")
    )
    return Answers(int(row["requests"]), int(row["ok"] or 0), p50, p95, p99, at)


def _within(window: Window, of: str = "event") -> str:
    first, last = microseconds(window.since), microseconds(window.until)
    time = "served_at" if of == "served" else "event_time"
    return (
        f"{of}_date between date '{window.since.date()}' and date '{window.until.date()}' "
        f"and {time} >= to_timestamp_micros({first}) and {time} < to_timestamp_micros({last})"
    )


def _since(since: datetime) -> str:
    return (
        f"quarantined_date >= date '{since.date()}' "
        f"and ingested_at >= to_timestamp_micros({microseconds(since)})"
    )


def _slot(window: Window) -> str:
    return f"date_bin(interval '{window.slot_s} seconds', event_time, timestamp '1970-01-01')"


def _text(value: str) -> str:
    """Return a value as an SQL literal; standard SQL has no other escape than the doubled quote."""
    return "'" + value.replace("'", "''") + "'"


_ANSWERS: Final = """
select {at} as at, count(*) as requests, count(*) filter (where status = 200) as ok,
       approx_percentile_cont(latency_ms, 0.5) filter (where status = 200) as p50,
       approx_percentile_cont(latency_ms, 0.95) filter (where status = 200) as p95,
       approx_percentile_cont(latency_ms, 0.99) filter (where status = 200) as p99
from events where kind = 'recommend' and {where} {group}
"""

_SERVED: Final = """
select coalesce(function_version, '') as function_version,
       coalesce(model_version, '') as model_version,
       coalesce(source, '') as source, count(*) as requests
from served where {where} group by 1, 2, 3 order by 4 desc, 1, 2, 3
"""

_LINES: Final = """
select {at} as at, kind, count(*) as lines from events where {where} group by 1, 2 order by 1, 2
"""

_REASONS: Final = """
select reason, count(*) as lines, min(ingested_at) as oldest, max(ingested_at) as newest
from quarantine where {where} group by reason order by 2 desc, 1
"""

_EXAMPLES: Final = """
select raw from quarantine where reason = {reason} and {where}
order by ingested_at desc, kafka_offset desc limit {most}
"""

_SERVED_TO: Final = """
select * from served where user_id = {user} order by served_at desc limit {most}
"""

_DID: Final = """
select kind, movie_id, max(event_time) as event_time, max(minute) as minute,
       last_value(rating order by event_time) as rating
from events where user_id = {user} and kind in ('watch', 'rate')
group by kind, movie_id, event_date order by 3 desc, 1, 2 limit {most}
"""

_LISTED: Final = """
select coalesce(model_version, '') as model_version, count(*) as lists,
       array_agg(distinct user_id) as users,
       avg(cast(array_position(movie_ids, {movie}) as double)) as mean_rank
from served where array_has(movie_ids, {movie}) and {where} group by 1 order by 2 desc, 1
"""

_WATCHED: Final = """
select distinct user_id from events where kind = 'watch' and movie_id = {movie} and {where}
"""
