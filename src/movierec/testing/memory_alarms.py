"""Alarms in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from movierec.errors import UnavailableError
from movierec.releases.alarm_states import Alarm, AlarmStates


@dataclass(slots=True)
class MemoryAlarmStates:
    """`AlarmStates` in memory; the next `fail_reads` readings raise UnavailableError."""

    found: list[Alarm] = field(default_factory=list)
    fail_reads: int = 0

    def alarms(self) -> Sequence[Alarm]:
        """Return the alarms by name."""
        if self.fail_reads > 0:
            self.fail_reads -= 1
            raise UnavailableError("reading alarms: failed on request of the test")
        return sorted(self.found, key=lambda alarm: alarm.name)


def _port() -> type[AlarmStates]:
    """Have mypy check this class against its Protocol."""
    return MemoryAlarmStates
