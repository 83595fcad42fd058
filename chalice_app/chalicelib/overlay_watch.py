"""Keep a model's newest overlay: asked for in the background, never in a request's time.

A request that finds the last check older than CHECK_EVERY_S starts the next one in a thread and
goes on with what is there. Lambda freezes the thread with its environment and continues it with the
next request, so a check may take long on the clock, and costs a request no more than its start.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from movierec.errors import MovierecError, ObjectNotFoundError
from movierec.model import overlay
from movierec.model.overlay import Overlay
from movierec.ports import ObjectStore

log = logging.getLogger(__name__)

CHECK_EVERY_S: Final = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Numbered:
    """An overlay and its number; 0 is that of none."""

    number: int
    overlay: Overlay


NONE: Final = Numbered(0, Overlay.empty())


class OverlayWatch:
    """The newest overlay of a model with `n_movies`; `clock_s` is monotonic seconds.

    `start` runs a check beside the requests.
    """

    def __init__(
        self,
        store: ObjectStore,
        model_version: str,
        n_movies: int,
        *,
        clock_s: Callable[[], float],
        start: Callable[[Callable[[], None]], None],
    ) -> None:
        self._store = store
        self._model_version = model_version
        self._n_movies = n_movies
        self._clock_s = clock_s
        self._start = start
        self._newest = NONE
        self._next_s = clock_s()
        self._checking = threading.Lock()

    def newest(self) -> Numbered:
        """Return the newest overlay that is known, and start a check when it is time."""
        self._when_due(self._start)
        return self._newest

    def begin(self) -> None:
        """Make the first check in the caller's time: what is withdrawn is in no answer."""
        self._when_due(lambda check: check())

    def _when_due(self, start: Callable[[Callable[[], None]], None]) -> None:
        if self._clock_s() >= self._next_s and self._checking.acquire(blocking=False):
            self._next_s = self._clock_s() + CHECK_EVERY_S
            start(self._checked)

    def check(self) -> None:
        """Fetch a newer overlay, verified with its manifest. Raises MovierecError."""
        try:
            number = overlay.load_newest(self._store.get(overlay.newest_key(self._model_version)))
        except ObjectNotFoundError:
            return
        if number > self._newest.number:
            found = overlay.load(self._store, self._model_version, number, self._n_movies)
            self._newest = Numbered(number, found)

    def _checked(self) -> None:
        try:
            self.check()
        except MovierecError:
            # The model answers on with what it has; the next check tries again.
            log.exception("overlay_not_read", extra={"model_version": self._model_version})
        finally:
            self._checking.release()


def in_thread(check: Callable[[], None]) -> None:
    """Run a check in a thread that ends with the process."""
    threading.Thread(target=check, name="overlay", daemon=True).start()
