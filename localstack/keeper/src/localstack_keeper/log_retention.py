"""How many of CloudWatch Logs' events stay: a group's retention is a number to LocalStack, no more.

An invocation logs a kilobyte; twenty a second are more than a gigabyte a day, in memory too.
"""

import sys
from collections.abc import Sequence
from typing import Any, Final

# Sorting their ids takes the interpreter from requests, so events go many at a time.
SURPLUS: Final = 0.1

Stream = Any
"""One of moto's, which have no types of their own."""


def keep_newest(count: int) -> None:
    """Drop the oldest events of each log group that has a tenth more than so many."""
    models = sys.modules.get("moto.logs.models")
    if models is None:
        return  # nobody has loaded it
    backends = getattr(models, "logs_backends", {})  # somebody may be loading it just now
    for regions in list(backends.values()):
        for backend in list(regions.values()):
            for group in list(backend.groups.values()):
                _keep_newest(list(group.streams.values()), count)


def _keep_newest(streams: Sequence[Stream], count: int) -> None:
    if sum(len(stream.events) for stream in streams) <= count * (1 + SURPLUS):
        return
    oldest = sorted(event.event_id for stream in streams for event in stream.events)[-count]
    for stream in streams:
        # Puts at the same time leave a stream's ids out of order: some may stay that need not.
        ids = (event.event_id for event in stream.events)
        older = next((n for n, found in enumerate(ids) if found >= oldest), len(stream.events))
        # Anew, since whoever reads has a place in the list; and at once, since others add to it.
        stream.events = stream.events[older:]
