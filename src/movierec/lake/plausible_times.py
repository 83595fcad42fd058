"""The times that an event can be of: a clock that is years off is a fault, not an event."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Self

from movierec import settings
from movierec.errors import ConfigError

# A data set's times are unsigned 32-bit seconds since 1970: its first and last whole day.
_FIRST: Final = date(1970, 1, 1)
_LAST: Final = date(2106, 2, 6)

# Days of the lake are UTC's, those of the site begin and end up to 14 hours before and after.
_ZONES: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PlausibleTimes:
    """The window of plausible event times: `earliest` is its first day, by the site's clock.

    Ingest refuses what is before it, or a day after the record. The lake has rows of before there
    was a window, without the records' times: its readers go by `days`.
    """

    earliest: date = date(2000, 1, 1)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Return the window that the setting names. Raises ConfigError."""
        text = env.get(settings.EARLIEST_EVENT_TIME)
        return cls.parse(text) if text else cls()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the window from a day like 2000-01-01. Raises ConfigError."""
        try:
            found = date.fromisoformat(text)
        except ValueError:
            found = None
        if found is None or not _FIRST <= found < _LAST:
            raise ConfigError(
                f"{settings.EARLIEST_EVENT_TIME} is {text!r}: expected a day as 2000-01-01, from"
                f" {_FIRST} on"
            )
        return cls(found)

    def days(self) -> tuple[date, date]:
        """Return the first and the last day, UTC, of the lake's rows that are plausible."""
        return max(_FIRST, self.earliest - _ZONES), _LAST

    def condition(self) -> str:
        """Return `days` as SQL, on the partition column of `events`."""
        first, last = self.days()
        return f"event_date between date '{first}' and date '{last}'"


DEFAULT: Final = PlausibleTimes()
