"""The site's clock: local time of its zone, perhaps wrong, which log lines carry without a zone.

A local time is given as the number that UTC would have at that wall-clock reading, which is what
`log_line_format` prints.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from movierec.errors import UsageError

_UTC_NAME: Final = "UTC"
_NANOS: Final = 1_000_000_000
_DAY_S: Final = 86_400


@dataclass(frozen=True)
class LocalClock:
    """A clock in `zone` (IANA) that is `ahead_s` fast, and gains `drift_s` a day from `since_s` on.

    Negative values: slow, loses. `since_s` is Unix time.
    """

    zone: str = _UTC_NAME
    ahead_s: int = 0
    drift_s: float = 0.0
    since_s: int = 0

    @classmethod
    def checked(cls, zone: str, ahead_s: int, drift_s: float, since_s: int) -> "LocalClock":
        """Return the clock. Raises UsageError when there is no such zone."""
        clock = cls(zone, ahead_s, drift_s, since_s)
        try:
            clock.local_ns(since_s * _NANOS)
        except (OSError, ValueError) as exc:  # ZoneInfoNotFoundError is a KeyError
            raise _no_zone(zone) from exc
        except KeyError as exc:
            raise _no_zone(zone) from exc
        return clock

    @property
    def is_utc(self) -> bool:
        """Return whether local time is UTC at any time."""
        return self.zone == _UTC_NAME and not self.ahead_s and not self.drift_s

    @cached_property
    def _zone(self) -> tzinfo:
        return UTC if self.zone == _UTC_NAME else ZoneInfo(self.zone)

    def local_ns(self, time_ns: int) -> int:
        """Return the local time of nanoseconds since 1970 UTC."""
        if self.is_utc:
            return time_ns
        shown_ns = time_ns + int(self._error_s(time_ns // _NANOS)) * _NANOS
        return shown_ns + self._utc_offset_s(shown_ns // _NANOS) * _NANOS

    def local_s(self, times_s: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the local time of seconds since 1970 UTC, (n,)."""
        if self.is_utc:
            return times_s
        shown: npt.NDArray[Any] = times_s + self._error_s(times_s)
        # No zone of this century changes its offset within a minute.
        minutes, of = np.unique(shown // 60, return_inverse=True)
        offsets = np.array([self._utc_offset_s(m * 60) for m in minutes.tolist()], np.int64)
        local: npt.NDArray[np.int64] = shown + offsets[of] if len(offsets) else shown
        return local

    def _error_s(self, time_s: Any) -> Any:  # noqa: ANN401  a number or an array of them
        """Return how many whole seconds the clock is ahead."""
        if not self.drift_s:
            return self.ahead_s
        gained = np.floor(self.drift_s * (time_s - self.since_s) / _DAY_S)
        return self.ahead_s + gained.astype(np.int64)

    def _utc_offset_s(self, time_s: int) -> int:
        offset = datetime.fromtimestamp(time_s, self._zone).utcoffset()
        return 0 if offset is None else int(offset.total_seconds())


def _no_zone(zone: str) -> UsageError:
    return UsageError(
        f"--timezone {zone}: no such zone; name one of the IANA database, such as America/New_York"
    )


UTC_CLOCK: Final = LocalClock()
