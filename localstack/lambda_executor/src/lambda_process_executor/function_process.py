"""A function's process tree: start, output, exit code, kill."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SUBREAPER: Final = Path(__file__).with_name("subreaper.py")

# Imported, not run as a script, which would be compiled anew for each function: 5 ms.
_LOADER: Final = (
    "import os, sys; sys.path.append(os.path.dirname(os.path.dirname(sys.argv[1]))); "
    "from lambda_process_executor.subreaper import main; main(sys.argv[2:])"
)

# A killed process is gone within milliseconds unless it waits on a device.
KILL_WAIT_S: Final = 5.0

_CHUNK_BYTES: Final = 65536

# A pipe holds one chunk; a function that writes without end must not keep its reader from looking
# at the clock.
_MAX_CHUNKS: Final = 16


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: program and arguments, in which folder, with which variables and no others.

    Paths are those of `tree`, the machine's own if there is none: an empty folder and the mounts
    that are put together in it, as `mount_namespace` takes them. `niceness` is its nice value: 0 is
    the usual priority, 19 the lowest.
    """

    argv: tuple[str, ...]
    folder: Path
    env: Mapping[str, str]
    tree: tuple[str, ...] = ()
    niceness: int = 0


class FunctionProcess:
    """A running function and all processes below it, with both outputs in one pipe.

    `control` and `output_fd` are there to be selected on; `read_control` and `read_output` read
    what is there without waiting. `exit_code` is None while the process runs; a negative one is
    the signal that ended it. All processes of the function are below `subreaper_pid`.
    """

    def __init__(self, command: Command) -> None:
        self.pid: int | None = None
        self.exit_code: int | None = None
        self.control, theirs = socket.socketpair()
        self.output_fd, write_fd = os.pipe()
        os.set_blocking(self.output_fd, False)
        self.control.setblocking(False)
        self._unread = b""
        try:
            self._subreaper = _spawn(command, theirs, write_fd)
            self.subreaper_pid = self._subreaper.pid
        except BaseException:
            self.control.close()
            os.close(self.output_fd)
            raise
        finally:
            theirs.close()
            os.close(write_fd)

    def read_control(self) -> None:
        """Read the subreaper's messages: the process's id, its exit code."""
        try:
            data = self.control.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data and self.exit_code is None:
            self.exit_code = -9  # the subreaper itself was killed
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            kind, _, value = line.decode().partition(" ")
            if kind == "pid":
                self.pid = int(value)
            else:
                self.exit_code = int(value)

    def read_output(self) -> bytes:
        """Read what the function has written, 1 MB of it at most."""
        chunks = []
        for _ in range(_MAX_CHUNKS):
            try:
                chunk = os.read(self.output_fd, _CHUNK_BYTES)
            except BlockingIOError:
                break
            if not chunk:
                break
            chunks.append(chunk)
        return b"".join(chunks)

    def request_kill(self) -> None:
        """Ask the subreaper to end everything, without waiting. Safe from any thread."""
        try:
            self.control.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def kill(self) -> None:
        """End the whole tree and wait until it is gone; its last output can still be taken."""
        self.request_kill()
        try:
            self._subreaper.wait(KILL_WAIT_S)
        except subprocess.TimeoutExpired:
            self._subreaper.kill()
            self._subreaper.wait()

    def close(self) -> None:
        """Kill, and give back the descriptors."""
        self.kill()
        self.control.close()
        os.close(self.output_fd)


def _spawn(command: Command, control: socket.socket, output_fd: int) -> subprocess.Popen[bytes]:
    # The loader's variables are for the function: the subreaper must not load the function's
    # libraries, so it gets them as arguments.
    loader = [f"{k}={v}" for k, v in command.env.items() if k.startswith("LD_")]
    env = {k: v for k, v in command.env.items() if not k.startswith("LD_")}
    subreaper = [sys.executable, "-I", "-S", "-c", _LOADER, str(SUBREAPER)]
    place = [str(command.niceness), str(command.folder)]
    return subprocess.Popen(
        [*subreaper, *place, *command.tree, "--", *loader, "--", *command.argv],
        stdin=control.fileno(),
        stdout=output_fd,
        stderr=output_fd,
        env=env,
        cwd="/",
        start_new_session=True,
    )
