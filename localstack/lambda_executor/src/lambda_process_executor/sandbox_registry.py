"""All sandboxes of the emulator, so that it can stop them together when it ends."""

import threading
from typing import Final
from weakref import WeakSet

from lambda_process_executor.sandbox import Sandbox


class SandboxRegistry:
    """Every sandbox that is in use. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sandboxes: WeakSet[Sandbox] = WeakSet()
        self._is_closed = False

    def add(self, sandbox: Sandbox) -> None:
        """Register a sandbox; after `close` it is stopped at once."""
        with self._lock:
            self._sandboxes.add(sandbox)
            is_closed = self._is_closed
        if is_closed:
            sandbox.stop(now=True)

    def close(self) -> None:
        """Stop all sandboxes, now and from now on."""
        with self._lock:
            self._is_closed = True
        self.stop_all()

    def stop_all(self) -> None:
        """Stop the sandboxes that there are. All are killed before any is waited for."""
        with self._lock:
            sandboxes = list(self._sandboxes)
        for sandbox in sandboxes:
            sandbox.kill()
        for sandbox in sandboxes:
            sandbox.stop(now=True)


SHARED: Final = SandboxRegistry()
