"""A function's process tree, seen from the emulator."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

WARDEN: Final = Path(__file__).with_name("warden.py")

# A killed process is gone within milliseconds unless it waits on a device.
KILL_WAIT_S: Final = 5.0

_CHUNK_BYTES: Final = 65536


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: program and arguments, in which folder, with which variables and no others."""

    argv: tuple[str, ...]
    folder: Path
    env: Mapping[str, str]


class FunctionProcess:
    """A running function and all processes below it, with both outputs in one pipe.

    `control` and `output_fd` are there to be selected on; `take_control` and `take_output` read
    what is there without waiting. `exit_code` is None while the process runs; a negative one is
    the signal that ended it.
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
            self._warden = _spawn(command, theirs, write_fd)
        except BaseException:
            self.control.close()
            os.close(self.output_fd)
            raise
        finally:
            theirs.close()
            os.close(write_fd)

    @property
    def warden_pid(self) -> int:
        """The process that all others of this function are below."""
        return self._warden.pid

    def take_control(self) -> None:
        """Read the warden's messages: the process's id, its exit code."""
        try:
            data = self.control.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data and self.exit_code is None:
            self.exit_code = -9  # the warden itself was killed
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._note(line.decode())

    def take_output(self) -> bytes:
        """Read whatever the function has written so far."""
        chunks = []
        while True:
            try:
                chunk = os.read(self.output_fd, _CHUNK_BYTES)
            except BlockingIOError:
                break
            if not chunk:
                break
            chunks.append(chunk)
        return b"".join(chunks)

    def let_go(self) -> None:
        """Ask the warden to end everything, without waiting. Safe from any thread."""
        try:
            self.control.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def kill(self) -> None:
        """End the whole tree and wait until it is gone; its last output can still be taken."""
        self.let_go()
        try:
            self._warden.wait(KILL_WAIT_S)
        except subprocess.TimeoutExpired:
            self._warden.kill()
            self._warden.wait()

    def close(self) -> None:
        """Kill, and give back the descriptors."""
        self.kill()
        self.control.close()
        os.close(self.output_fd)

    def _note(self, message: str) -> None:
        kind, _, value = message.partition(" ")
        if kind == "pid":
            self.pid = int(value)
        elif kind == "exit":
            self.exit_code = int(value)


def _spawn(command: Command, control: socket.socket, output_fd: int) -> subprocess.Popen[bytes]:
    # The loader's variables are for the function: the warden must not load the function's
    # libraries, so it gets them as arguments.
    loader = [f"{k}={v}" for k, v in command.env.items() if k.startswith("LD_")]
    env = {k: v for k, v in command.env.items() if not k.startswith("LD_")}
    warden = [sys.executable, "-I", "-S", str(WARDEN)]
    return subprocess.Popen(
        [*warden, str(command.folder), *loader, "--", *command.argv],
        stdin=control.fileno(),
        stdout=output_fd,
        stderr=output_fd,
        env=env,
        cwd="/",
        start_new_session=True,
    )
