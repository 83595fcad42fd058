"""From the site's local time to UTC: by its zone if that is set, else by what Kafka's times show.

A line says its local time without a zone; Kafka's record has a timestamp in UTC. Of a live stream
the two differ by the site's offset from UTC, a multiple of 15 minutes, and by a little delay. Of a
backlog that is written all at once they differ by anything: then no offset is found, the text is
taken as UTC, and the rows say so.

Times are microseconds since 1970, int64, shape (n,): local ones of the text, UTC ones of records.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from movierec import settings
from movierec.errors import ConfigError

Micros = npt.NDArray[np.int64]

NO_TIME: Final = np.iinfo(np.int64).min
"""The time of a record without a timestamp; `datetime64`'s NaT."""

_SECOND: Final = 1_000_000
_MINUTE: Final = 60 * _SECOND
# Offsets of all zones of today are multiples of it.
_QUARTER: Final = 15 * _MINUTE
_LARGEST_OFFSET_MINUTES: Final = 14 * 60

# A line is written a moment after its time; clocks that NTP holds differ by less.
_EARLY: Final = 60 * _SECOND
_DELAY: Final = 120 * _SECOND
# What a line may be late by, once the offset is known: a producer that had to wait for its broker.
_LATE: Final = 10 * _MINUTE

# One line in 100 ms of the records' time is a sample; the last samples decide.
_SAMPLE_EVERY: Final = 100_000
_SAMPLES: Final = 300
_LEAST_SAMPLES: Final = 20
_LEAST_SPAN: Final = 10 * _SECOND
_LEAST_SHARE: Final = 0.9
# Both clocks pass the same time, but for the delay's changes.
_SPANS_DIFFER: Final = 5 * _SECOND
_SPANS_DIFFER_SHARE: Final = 0.1


class TimeBasis(StrEnum):
    """How a row's `event_time` follows from the site's text (`events.time_basis`)."""

    ZONE = "zone"
    """By the zone that is set."""
    FOUND = "found"
    """By the offset that the records' times show, this line's among them."""
    ASSUMED = "assumed"
    """No offset is known, or this line contradicts it: nothing is to be judged by its time."""


@dataclass(frozen=True, slots=True)
class Offset:
    """The site's offset from UTC, as the records' times show it."""

    minutes: int
    """Local time minus UTC."""
    share: float
    """Share of the samples that agree."""
    samples: int
    lateness_s: float
    """Median of record time minus line time: the delay, or the clocks' difference."""


@dataclass(frozen=True, slots=True)
class Converted:
    """Times in UTC, each (n,): microseconds, the offset that was taken off, and by what."""

    utc_us: Micros
    offset_minutes: npt.NDArray[np.int16]
    basis: npt.NDArray[np.str_]


class SiteClock(Protocol):
    """Converts the site's times; learns from every line that it observes."""

    def observe(self, local_us: Micros, record_us: Micros) -> None:
        """Learn from lines in the order of their records."""
        ...

    def convert(self, local_us: Micros, record_us: Micros) -> Converted:
        """Return the lines' times in UTC."""
        ...

    @property
    def found(self) -> Offset | None:
        """The offset that the records' times show; None if they show none."""
        ...


class OffsetEstimator:
    """The offset that the latest lines show."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, int]] = deque(maxlen=_SAMPLES)

    def observe(self, local_us: Micros, record_us: Micros) -> None:
        """Take samples of lines, evenly over the records' time."""
        timed = record_us > 0
        local_us, record_us = local_us[timed], record_us[timed]
        _, first = np.unique(record_us // _SAMPLE_EVERY, return_index=True)
        last = self._samples[-1][1] // _SAMPLE_EVERY if self._samples else -1
        for local, record in zip(local_us[first].tolist(), record_us[first].tolist(), strict=True):
            if record // _SAMPLE_EVERY != last:
                self._samples.append((local, record))

    def offset(self) -> Offset | None:
        """Return the offset that all but a few of the samples show, None if there is none.

        The latest samples alone may show it: a live stream that follows a backlog, or a clock that
        was put back, is found after `_LEAST_SAMPLES` of its own.
        """
        samples = np.array(self._samples, np.int64).reshape(-1, 2)
        for count in (len(samples), _LEAST_SAMPLES * 3, _LEAST_SAMPLES):
            if _LEAST_SAMPLES <= count <= len(samples):
                found = _agreed(samples[len(samples) - count :])
                if found is not None:
                    return found
        return None


def _agreed(samples: npt.NDArray[np.int64]) -> Offset | None:
    """Return the offset that samples (n, 2) of local and record time agree on."""
    ahead = samples[:, 0] - samples[:, 1]
    quarters = np.round((ahead + (_DELAY - _EARLY) / 2) / _QUARTER).astype(np.int64)
    late = quarters * _QUARTER - ahead
    values, counts = np.unique(quarters[(late >= -_EARLY) & (late <= _DELAY)], return_counts=True)
    if not len(values):
        return None
    best = int(np.argmax(counts))
    minutes, share = int(values[best]) * _QUARTER // _MINUTE, float(counts[best] / len(samples))
    agreeing = samples[(quarters == values[best]) & (late >= -_EARLY) & (late <= _DELAY)]
    local_span, record_span = (int(np.ptp(agreeing[:, side])) for side in (0, 1))
    alike = abs(local_span - record_span) <= _SPANS_DIFFER + _SPANS_DIFFER_SHARE * record_span
    if (
        share < _LEAST_SHARE
        or not alike
        or record_span < _LEAST_SPAN
        or abs(minutes) > _LARGEST_OFFSET_MINUTES
    ):
        return None
    lateness = float(np.median(late[quarters == values[best]])) / _SECOND
    return Offset(minutes, share, len(samples), lateness)


class _ObservingClock:
    """A clock that knows which offset the records' times have shown last, if any."""

    def __init__(self, known_minutes: int | None = None) -> None:
        self._estimator = OffsetEstimator()
        known = None if known_minutes is None else Offset(known_minutes, 1.0, 0, 0.0)
        self._found: Offset | None = known

    @property
    def found(self) -> Offset | None:
        """The offset that was found last; None if none was found yet."""
        return self._found

    def observe(self, local_us: Micros, record_us: Micros) -> None:
        """Learn from lines in the order of their records."""
        self._estimator.observe(local_us, record_us)
        self._found = self._estimator.offset() or self._found


class FoundClock(_ObservingClock):
    """A clock whose zone is not set: the offset is found from the records' times.

    Once found, an offset stays until the lines show another one.
    """

    def convert(self, local_us: Micros, record_us: Micros) -> Converted:
        """Return the lines' times in UTC: by the offset found, else with the text taken as UTC."""
        minutes = self._found.minutes if self._found else 0
        utc_us = local_us - minutes * _MINUTE
        basis = np.full(len(utc_us), TimeBasis.ASSUMED, "U7")
        if self._found:
            late = record_us - utc_us
            agrees = (record_us <= 0) | ((late >= -_EARLY) & (late <= _LATE))
            basis[agrees] = TimeBasis.FOUND
        return Converted(utc_us, np.full(len(utc_us), minutes, np.int16), basis)


class ZoneClock(_ObservingClock):
    """A clock in a zone of the IANA database, summer time and all.

    What the records' times show converts nothing here: it may contradict the zone.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        super().__init__()
        self._zone = zone

    def convert(self, local_us: Micros, record_us: Micros) -> Converted:
        """Return the lines' times in UTC.

        Of the hour that autumn repeats, the pass is taken whose time is the record's, else the
        first; an hour that spring leaves out is counted on from the time before (PEP 495).
        """
        slots, where = np.unique(local_us // _QUARTER, return_inverse=True)
        offsets = np.array([self._offsets(slot) for slot in slots.tolist()], np.int64)
        first, second = offsets.reshape(-1, 2)[where].T
        repeats = (first > second) & (record_us > 0)
        is_second = repeats & (
            np.abs(record_us - (local_us - second)) < np.abs(record_us - (local_us - first))
        )
        near = np.abs(record_us - (local_us - second)) <= 2 * _QUARTER
        taken = np.where(is_second & near, second, first)
        return Converted(
            local_us - taken,
            (taken // _MINUTE).astype(np.int16),
            np.full(len(taken), TimeBasis.ZONE, "U7"),
        )

    def _offsets(self, slot: int) -> tuple[int, int]:
        """Return the offsets of a quarter of an hour, at its first and its second pass."""
        local = datetime(1970, 1, 1) + timedelta(microseconds=slot * _QUARTER)  # noqa: DTZ001 (local)
        both = (local.replace(tzinfo=self._zone, fold=fold).utcoffset() for fold in (0, 1))
        first, second = ((offset or timedelta()) // timedelta(microseconds=1) for offset in both)
        return first, second


def from_env(env: Mapping[str, str], known_minutes: int | None = None) -> SiteClock:
    """Return the site's clock as the environment sets it. Raises ConfigError.

    `known_minutes` is the offset that was found last, by which a clock without a zone begins.
    """
    name = env.get(settings.SITE_TIMEZONE, "")
    if not name:
        return FoundClock(known_minutes)
    try:
        return ZoneClock(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ConfigError(
            f"{settings.SITE_TIMEZONE} is {name!r}: expected a name of the IANA time zone database "
            "such as America/New_York; leave it unset to have the offset found"
        ) from exc


def contradiction(clock: SiteClock, now: datetime) -> str:
    """Return what is wrong with the zone that is set, by the records' times; "" if nothing is."""
    found = clock.found
    if found is None or not isinstance(clock, ZoneClock):
        return ""
    at = np.array([int(now.astimezone(UTC).timestamp() * _SECOND)], np.int64)
    local = at + found.minutes * _MINUTE
    expected = int(clock.convert(local, at).offset_minutes[0])
    if expected == found.minutes:
        return ""
    return (
        f"the zone that is set is {expected:+d} minutes from UTC, but the site's lines are "
        f"{found.minutes:+d}: see {settings.SITE_TIMEZONE}"
    )


def describe(clock: SiteClock, wrong: str) -> dict[str, Any]:
    """Return what is known of a clock as JSON; `wrong` is what `contradiction` says of it."""
    found = clock.found
    basis = TimeBasis.ASSUMED if found is None else TimeBasis.FOUND
    return {
        "basis": str(TimeBasis.ZONE if isinstance(clock, ZoneClock) else basis),
        "offset_minutes": None if found is None else found.minutes,
        "share": None if found is None else found.share,
        "samples": 0 if found is None else found.samples,
        "lateness_s": None if found is None else found.lateness_s,
        "wrong": wrong,
    }
