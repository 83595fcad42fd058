"""Alarms as they are now: values, and the port that reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

AlarmState = Literal["ok", "alarm", "no data"]


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm and its present state; `since` is when it came to it, aware."""

    name: str
    state: AlarmState
    description: str
    reason: str
    since: datetime


class AlarmStates(Protocol):
    """Reads alarms. May raise MetricsError and UnavailableError."""

    def alarms(self) -> Sequence[Alarm]:
        """Return this product's alarms by name, those of canaries among them."""
        ...
