"""What a site's processes share: when it opened, and how many accounts were created since."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from movierec.errors import UsageError
from movierec.runtime import atomic_file

_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Opened:
    """A site that opened at a Unix time, and the accounts that were created since."""

    opened_at_s: float
    accounts: int = 0


class GrowthState:
    """The state in a file, or without one in this process alone.

    The file appears when there is something to remember.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: Opened | None = None
        self._version: tuple[int, int] | None = None

    def opened_at_s(self, now_s: float) -> float:
        """Return when the site opened: now, if nobody has opened it. Raises UsageError."""
        if self._known is None:
            with self._locked():
                self._write(self._read() or Opened(now_s))
        return self._known.opened_at_s if self._known else now_s

    def films_at(self, time_s: float, films_per_day: float, now_s: float) -> int:
        """Return how many films had come by then, evenly spaced. Raises UsageError."""
        if not films_per_day:
            return 0
        since_s = time_s - self.opened_at_s(now_s)
        return max(int(since_s * films_per_day / _DAY_S), 0)

    def accounts(self) -> int:
        """Return how many accounts were created, by any process. Raises UsageError."""
        found = self._read()
        return found.accounts if found else 0

    def claim_accounts(self, count: int, now_s: float) -> int:
        """Create accounts; return how many there were before. Raises UsageError."""
        with self._locked():
            before = self._read() or Opened(now_s)
            self._write(replace(before, accounts=before.accounts + count))
        return before.accounts

    def _read(self) -> Opened | None:
        """Return the state, read again if the file has changed."""
        if self._path is None:
            return self._known
        try:
            found = self._path.stat()
            version = (found.st_mtime_ns, found.st_ino)
            if version != self._version:
                self._known = Opened(**json.loads(self._path.read_bytes()))
                self._version = version
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as exc:
            raise UsageError(
                f"--site-state {self._path}: not this program's ({exc!r}); name another file"
            ) from exc
        return self._known

    def _write(self, state: Opened) -> None:
        self._known = state
        if self._path is not None:
            atomic_file.write_whole(self._path, json.dumps(asdict(state)) + "\n", durable=False)
            self._version = None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._path is None:
            yield
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.with_suffix(".lock").open("w") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
        except OSError as exc:
            raise UsageError(f"--site-state {self._path} cannot be written: {exc}") from exc
