"""Parse a batch of the site's log lines into columns of events.

Parsing is total: every line becomes an event or is rejected for a named reason. One regular
expression decides on all lines in Rust (polars); of those that match, every field is then cut by
its place. Only rejected lines are examined one by one, to name the reason.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import polars as pl

from ingest_worker.line_fields import Bytes, Ints, Mask, numbers_before, numbers_from, times_at
from movierec.lake import log_lines
from movierec.lake.log_lines import MAX_ERROR_BYTES, MAX_ID_BYTES, Reason
from movierec.lake.schema import Columns, select

Lines = pl.Series | Sequence[bytes]

_REASONS: Final = tuple(Reason)
_CODES: Final = {reason: code for code, reason in enumerate(_REASONS, 1)}


@dataclass(frozen=True, slots=True)
class Events:
    """The events of one kind in a batch: n rows.

    `lines` (n,) holds the index in the batch of each row's line, `local_us` (n,) the site's time
    in microseconds since 1970 by the site's clock.
    """

    lines: Ints
    local_us: Ints
    columns: Columns

    def where(self, keep: Mask) -> "Events":
        """Return the rows marked in `keep`, shape (n,)."""
        if keep.all():
            return self
        return Events(self.lines[keep], self.local_us[keep], select(self.columns, keep))


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed batch: events by kind, and for each line a code of `reasons_of`, 0 for events."""

    events: tuple[Events, ...]
    codes: np.ndarray[tuple[int], np.dtype[np.int8]]

    @property
    def rejected(self) -> Ints:
        """The indices of the rejected lines."""
        return np.flatnonzero(self.codes)

    def reasons(self) -> pl.Series:
        """Return the reasons of the rejected lines, in order."""
        names = pl.Series([str(reason) for reason in _REASONS])
        return names.gather(self.codes[self.rejected] - 1)

    def reject(self, lines: Mask, reason: Reason) -> "Parsed":
        """Reject every event whose line is marked in `lines`, shape (number of lines,)."""
        codes = np.where(lines & (self.codes == 0), _CODES[reason], self.codes).astype(np.int8)
        return Parsed(tuple(rows.where(~lines[rows.lines]) for rows in self.events), codes)


def binary(lines: Lines) -> pl.Series:
    """Return lines as one Arrow column of bytes."""
    if isinstance(lines, pl.Series):
        return lines.rechunk()
    return pl.Series(lines, dtype=pl.Binary)


def parse(lines: Lines) -> Parsed:
    """Parse raw lines into columns of events and rejected lines. Never raises."""
    raw = binary(lines)
    text, matching = _matching(raw)
    matched = _Matched.of(text, np.flatnonzero(matching))
    events = tuple(_of_kind(matched, kind) for kind in _KINDS)
    codes = np.full(len(raw), -1, np.int8)
    for rows in events:
        codes[rows.lines] = 0
    for i in np.flatnonzero(codes).tolist():
        codes[i] = _CODES[log_lines.diagnose(raw[i])]
    return Parsed(events, codes)


def _matching(raw: pl.Series) -> tuple[pl.Series, Mask]:
    """Return lines as text, empty where they are no UTF-8, and which of them match the grammar."""
    text = _text(raw)
    matching = _match(text)
    if not matching.all():
        others = np.flatnonzero(~matching)
        bare = text.gather(others).str.strip_suffix("\r\n").str.strip_suffix("\r")
        bare = bare.str.strip_chars(" \t")
        matching[others] = _match(bare)
        if matching[others].any():
            text = text.scatter(others, bare)
    return text, matching


def _text(raw: pl.Series) -> pl.Series:
    try:
        return raw.cast(pl.String)
    except pl.exceptions.ComputeError:
        # polars has no cast that takes the good lines alone.
        suspect = (raw.cast(pl.List(pl.UInt8)).list.max() > _LAST_ASCII).fill_null(value=False)
        good = ~suspect.to_numpy()
        for i in np.flatnonzero(~good).tolist():
            good[i] = _is_utf8(raw[i])
        return raw.zip_with(pl.Series(good), pl.Series([b""])).cast(pl.String)


_LAST_ASCII: Final = 0x7F


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _match(text: pl.Series) -> Mask:
    # polars runs one expression on one core: a part of the lines for each.
    part = len(text) // pl.thread_pool_size() + 1
    found = [
        text.slice(at, part)
        .to_frame("text")
        .lazy()
        .select(pl.col("text").str.contains(log_lines.LINE))
        for at in range(0, len(text), part)
    ]
    parts = [frame.to_series().to_numpy() for frame in pl.collect_all(found)]
    return np.concatenate([np.zeros(0, np.bool_), *parts])


@dataclass(frozen=True, slots=True)
class _Matched:
    """Lines that match the grammar; places are indices into the joined bytes of all of them."""

    joined: Bytes
    text: pl.Series
    index: Ints
    start: Ints
    end: Ints
    time_end: Ints
    local_us: Ints
    on_calendar: Mask
    user_id: Ints
    request: Ints
    letter: Bytes
    """The sixth byte of the request, which tells the kinds apart."""

    @classmethod
    def of(cls, text: pl.Series, index: Ints) -> "_Matched":
        """Read what every kind of line begins with, of the lines at `index`."""
        chosen = text if len(index) == len(text) else text.gather(index)
        chosen = chosen.cast(pl.Binary)
        joined = chosen.cast(pl.List(pl.UInt8)).explode().to_numpy()
        sizes = chosen.bin.size().to_numpy().astype(np.int64)
        end = np.cumsum(sizes)
        start = end - sizes
        local_us, time_end, on_calendar = times_at(joined, start)
        user_id, user_end = numbers_from(joined, time_end + 1)
        request = user_end + 1
        letter = joined[request + 5]
        return cls(
            joined, chosen, index, start, end, time_end, local_us, on_calendar, user_id, request,
            letter,
        )  # fmt: skip

    def at(self, rows: Ints) -> "_Matched":
        """Return some of the lines."""
        if len(rows) == len(self.text):
            return self
        per_line = (getattr(self, field.name)[rows] for field in fields(self)[2:])
        return _Matched(self.joined, self.text.gather(rows), *per_line)

    def cut(self, start: Ints, end: Ints) -> pl.Series:
        """Return the text of each line between two places."""
        frame = pl.DataFrame({"text": self.text, "at": start - self.start, "size": end - start})
        piece = pl.col("text").bin.slice(pl.col("at"), pl.col("size")).cast(pl.String)
        return frame.select(piece).to_series()


_Built = tuple[dict[str, Any], Mask]
"""The columns of one kind of event alone, and which rows keep the limits of lengths."""


def _of_kind(matched: _Matched, kind: str) -> Events:
    letter, build = _KINDS[kind]
    lines = matched.at(np.flatnonzero((matched.letter == ord(letter)) & matched.on_calendar))
    own, keep = build(lines)
    columns = {
        "kind": pl.repeat(kind, len(lines.index), dtype=pl.String, eager=True),
        "site_time": lines.cut(lines.start, lines.time_end),
        "user_id": lines.user_id,
        **own,
    }
    return Events(lines.index, lines.local_us, columns).where(keep)


def _watches(lines: _Matched) -> _Built:
    minute, start = numbers_before(lines.joined, lines.end - len(".mpg"))
    movie = lines.cut(lines.request + len(log_lines.WATCH), start - 1)
    return {"movie_id": movie, "minute": minute}, _lengths(movie) <= MAX_ID_BYTES


def _rates(lines: _Matched) -> _Built:
    rating, start = numbers_before(lines.joined, lines.end)
    movie = lines.cut(lines.request + len(log_lines.RATE), start - 1)
    return {"movie_id": movie, "rating": rating}, _lengths(movie) <= MAX_ID_BYTES


def _accounts(lines: _Matched) -> _Built:
    return {}, np.ones(len(lines.index), np.bool_)


def _recommends(lines: _Matched) -> _Built:
    latency_ms, latency_start = numbers_before(lines.joined, lines.end - len(" ms"))
    server_start = lines.request + len(log_lines.RECOMMEND)
    result_end = latency_start - len(", ")
    comma = lines.cut(server_start, result_end).str.find(",", literal=True)
    server_end = server_start + comma.to_numpy().astype(np.int64)
    status, status_end = numbers_from(lines.joined, server_end + len(", status "))
    results = _results(lines.cut(status_end + len(", result: "), result_end), status == _OK)
    server = lines.cut(server_start, server_end)
    own = {
        "status": status,
        "movie_ids": results["movie_ids"],
        "error": results["error"],
        "latency_ms": latency_ms,
        "server": server,
    }
    return own, (_lengths(server) <= MAX_ID_BYTES) & results["keep"].to_numpy()


_OK: Final = 200


def _results(result: pl.Series, listed: Mask) -> pl.DataFrame:
    """Return `movie_ids` and `error` of results, and whether to `keep` each."""
    text, ids = pl.col("text"), pl.col("ids")
    longest = ids.list.eval(pl.element().str.len_bytes().max()).list.first()
    # Only a long result can have a long id.
    short = (text.str.len_bytes() <= MAX_ID_BYTES).all()
    printed = (text.str.head(1) + text.str.tail(1)).is_in(log_lines.BRACKETS)
    frame = pl.DataFrame({"text": result, "listed": listed})
    frame = frame.with_columns(ids=text.str.split(", "))
    if not frame.select(short).item():
        printed |= longest > MAX_ID_BYTES
    return frame.select(
        movie_ids=pl.when("listed").then(ids).otherwise(pl.lit([], dtype=pl.List(pl.String))),
        error=pl.when(~pl.col("listed")).then(text),
        keep=pl.when("listed").then(~printed).otherwise(text.str.len_bytes() <= MAX_ERROR_BYTES),
    )


def _lengths(text: pl.Series) -> Ints:
    return text.str.len_bytes().to_numpy().astype(np.int64)


_KINDS: Final[Mapping[str, tuple[str, Callable[[_Matched], _Built]]]] = {
    "watch": (log_lines.WATCH[5], _watches),
    "rate": (log_lines.RATE[5], _rates),
    "recommend": (log_lines.RECOMMEND[5], _recommends),
    "create_account": (log_lines.CREATE_ACCOUNT[5], _accounts),
}
