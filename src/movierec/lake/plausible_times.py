"""The times that an event can be of: a clock that is years off is a fault, not an event."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from movierec import settings
from movierec.errors import ConfigError
from movierec.lake.served import microseconds

Times = npt.NDArray[np.datetime64]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST: Final = datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)
"""The last second that a data set can hold: its times are unsigned 32-bit seconds since 1970."""

AHEAD: Final = timedelta(days=1)
"""How far an event's time may be past its reference: zones differ by a day at most."""


@dataclass(frozen=True, slots=True)
class PlausibleTimes:
    """The window of plausible event times; `earliest` is aware.

    Readers of the lake, which has rows of before there was a window, go by whole days.
    """

    earliest: datetime = datetime(2000, 1, 1, tzinfo=UTC)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Return the window that the setting names. Raises ConfigError."""
        text = env.get(settings.EARLIEST_EVENT_TIME)
        return cls.parse(text) if text else cls()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the window from a day or time like 2000-01-01, UTC. Raises ConfigError."""
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            found = None
        if found is not None and found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        if found is None or not EPOCH <= found < LAST:
            raise ConfigError(
                f"{settings.EARLIEST_EVENT_TIME} is {text!r}: expected a day or time like"
                f" 2000-01-01, from {EPOCH.year} to {LAST.year}"
            )
        return cls(found.astimezone(UTC))

    def holds(self, times: Times, reference: Times | np.datetime64) -> npt.NDArray[np.bool_]:
        """Return which times (n,) are plausible of lines written at `reference`, (n,) or one time.

        All are UTC. Without a reference (NaT) a time is not plausible.
        """
        latest = np.minimum(reference + _as_delta(AHEAD), _as_time(LAST))
        found: npt.NDArray[np.bool_] = (times >= _as_time(self.earliest)) & (times <= latest)
        return found

    @property
    def text(self) -> str:
        """The earliest time as `parse` takes it, a day if it is one."""
        return self.earliest.strftime("%Y-%m-%dT%H:%M:%SZ").removesuffix("T00:00:00Z")

    def days(self) -> tuple[date, date]:
        """Return the first and the last plausible day of rows of which no reference is known."""
        return self.earliest.date(), (LAST - timedelta(days=1)).date()

    def condition(self) -> str:
        """Return `days` as SQL, on the partition column of `events`."""
        first, last = self.days()
        return f"event_date between date '{first}' and date '{last}'"


DEFAULT: Final = PlausibleTimes()


def _as_time(at: datetime) -> np.datetime64:
    return np.datetime64(microseconds(at), "us")


def _as_delta(span: timedelta) -> np.timedelta64:
    return np.timedelta64(span // timedelta(microseconds=1), "us")
