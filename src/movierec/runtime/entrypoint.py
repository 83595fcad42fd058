"""Entry point of a long-running process: its logs, its signals, its exit code.

def main(argv: Sequence[str]) -> int:
    return entrypoint.run("proxy", lambda: serve(parse(argv)))
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from movierec.errors import MovierecError
from movierec.runtime import json_logging

log = logging.getLogger(__name__)

# What whoever starts this process may set: a file to make, a socket that was handed over.
_READY_FILE: Final = "MOVIEREC_READY_FILE"
_LISTEN_FD: Final = "MOVIEREC_LISTEN_FD"

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

SIGNALLED: Final = 128
"""What a shell adds to the number of the signal that ended a process."""


def run(package: str, work: Callable[[], int | None]) -> int:
    """Run a process's work and return its exit code; `package` names it, and its loggers.

    A MovierecError becomes one line, `package: message`; any other is logged with its traceback.
    SIGTERM unwinds the work, unless it has a handler of its own.
    """
    json_logging.to_stderr(package)
    try:
        with _leaving_on_sigterm():
            return work() or 0
    except MovierecError as exc:
        sys.stderr.write(f"{package}: {exc}\n")
        return exc.exit_code
    except KeyboardInterrupt:
        return SIGNALLED + signal.SIGINT
    except Exception:
        log.exception("crashed", extra={"package": package})
        return 1


def default_signals_in_children() -> None:
    """Give children the default SIGINT and SIGQUIT, even where this process ignores both.

    A shell starts a background job with both ignored. exec inherits that, but resets a signal that
    has a handler: so they get one that does nothing, and children can be interrupted.
    """
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: None)


def stop_event() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set from now on, for work that stops by itself."""
    stop = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop


def async_stop_event() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set in the running event loop."""
    stop = asyncio.Event()
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def notify_ready() -> None:
    """Tell whoever has started this process, and may wait for that, that it is ready."""
    if file := os.environ.get(_READY_FILE):
        Path(file).touch()


def inherited_socket() -> socket.socket | None:
    """Return the listening socket that this process was started with, None if there is none."""
    descriptor = os.environ.pop(_LISTEN_FD, None)
    return None if descriptor is None else socket.socket(fileno=int(descriptor))


@contextmanager
def _leaving_on_sigterm() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(number: int, _frame: object) -> NoReturn:
    sys.exit(SIGNALLED + number)
