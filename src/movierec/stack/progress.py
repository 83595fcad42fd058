"""How long work says where it is, to whoever watches.

The command line shows steps as bars; a test or another program collects them.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol


class Step(Protocol):
    """A piece of work under way."""

    def update(
        self, done: float | None = None, total: float | None = None, note: str | None = None
    ) -> None:
        """Say how much of how much is done, and what is going on; what is None stays as it was."""
        ...


class Display(Protocol):
    """Shows steps; used from several threads."""

    def begin(self, name: str) -> Step:
        """Show a new step."""
        ...

    def end(self, step: Step, seconds: float, error: BaseException | None) -> None:
        """Show that a step is over, and how it went."""
        ...


@dataclass(slots=True)
class Progress:
    """The steps of one command: shown, and timed."""

    display: Display
    seconds: dict[str, float] = field(default_factory=dict)
    """Duration of each finished step by name; steps of one name add up."""

    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Do a piece of work inside the block; steps in several threads may overlap."""
        start_s = time.monotonic()
        step = self.display.begin(name)
        error: BaseException | None = None
        try:
            yield step
        except BaseException as exc:
            error = exc
            raise
        finally:
            took_s = time.monotonic() - start_s
            with self._lock:
                self.seconds[name] = self.seconds.get(name, 0.0) + took_s
            self.display.end(step, took_s, error)
