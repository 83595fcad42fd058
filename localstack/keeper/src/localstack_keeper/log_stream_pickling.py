"""Pickling of CloudWatch Logs' events by column: they are most of the state, and grow for ever.

The pickler calls Python for each object, which takes longer than writing it. So a stream's events
become columns of values, some hundreds at a time: in between, requests get the interpreter.
"""

import copyreg
from collections.abc import Sequence
from typing import Any, Final

from moto.logs.models import LogEvent, LogStream

# A request meets the pickler at each of its steps: of 1000 at a time it waits a third longer.
ROWS: Final = 200

Event = Any
"""One of moto's, which have no types of their own."""


def reduce(obj: Any) -> Any:  # noqa: ANN401 - as pickle has it
    """Return how one of moto's log streams is pickled."""
    if not isinstance(obj, LogStream):
        return NotImplemented
    state = dict(vars(obj))
    events = state.pop("events")
    parts = [_Part(events[start : start + ROWS]) for start in range(0, len(events), ROWS)]
    # With a function to set the state, not as arguments: a stream and its group have each other.
    return copyreg.__newobj__, (type(obj),), (state, parts), None, None, _fill  # type: ignore[attr-defined]


class _Part:
    """Some events, which become a list of them again."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events

    def __reduce__(self) -> tuple[object, ...]:
        states = [vars(event) for event in self._events]
        return _events, ({name: [state[name] for state in states] for name in states[0]},)


def _events(columns: dict[str, list[object]]) -> list[Event]:
    events = []
    for row in zip(*columns.values(), strict=True):
        event = object.__new__(LogEvent)  # its own notes each event, and keeps it for ever
        event.__dict__ = dict(zip(columns, row, strict=True))
        events.append(event)
    return events


def _fill(stream: Any, state: tuple[dict[str, object], list[list[Event]]]) -> None:  # noqa: ANN401
    attributes, parts = state
    vars(stream).update(attributes)
    stream.events = [event for part in parts for event in part]
    # Ids are counted by the class, which begins anew with each process.
    newest = max((event.event_id for event in stream.events), default=-1)
    LogEvent._event_id = max(LogEvent._event_id, newest + 1)  # noqa: SLF001
