"""Run the steps in setup.mk: one set-up at a time, in a clean environment, failures explained."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tools.environment import clean, uv_settings
from tools.failures import SetupError, explain


def main(arguments: Sequence[str], environ: Mapping[str, str], root: str) -> int:
    """Do the set-up and return the exit code; `--force` does every step again."""
    try:
        _set_up(Path(root), environ, force="--force" in arguments)
    except (SetupError, OSError) as exc:
        message = _disk(exc) if isinstance(exc, OSError) else str(exc)
        print(f"set-up: {' '.join(message.split())}", file=sys.stderr, flush=True)
        return 1
    return 0


def _set_up(root: Path, environ: Mapping[str, str], *, force: bool) -> None:
    began = time.monotonic()
    env = clean(environ)
    require_programs(env)
    with only_one(root / ".tools/lock") as lock:
        for part in (root / ".tools/stamps").glob("*.part"):
            part.unlink()
        again = ["-B"] if force else []
        # uv first: only then can pip, which is beside it, say where packages come from.
        make(root, env, lock, [*again, ".tools/stamps/uv"])
        settings = uv_settings(env, root / ".tools/venv/bin/python")
        make(root, {**env, **settings}, lock, [*again, "-o", ".tools/stamps/uv", "all"])
    print(f"set-up: everything is in place ({time.monotonic() - began:.1f} s)", flush=True)


def require_programs(env: Mapping[str, str]) -> None:
    """Raise SetupError for the first program or module that is missing on this machine."""
    if sys.platform != "linux":
        raise SetupError("this runs on Linux: use WSL 2, or a virtual machine")
    for program in ("git", "make"):
        if shutil.which(program, path=env.get("PATH")) is None:
            raise SetupError(f"{program} is not on PATH: install it (apt install {program})")
    for module in ("venv", "ensurepip"):
        try:
            __import__(module)
        except ImportError:
            raise SetupError(
                f"{sys.executable} has no module {module}: install it "
                f"(apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv)"
            ) from None


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[int]:
    """Hold the checkout's lock, waiting while another set-up has it. Yields its descriptor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("set-up: another one is at work in this checkout: waiting for it", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def make(root: Path, env: Mapping[str, str], lock: int, arguments: Sequence[str]) -> None:
    """Run make on the steps. Raises SetupError when one fails.

    All that it starts inherits the lock: should this process be killed, the next set-up waits for
    them. Ctrl-C, SIGTERM and SIGHUP end them.
    """
    # Not a virtual environment's Python, which may be this checkout's own and made anew.
    python = "PYTHON=" + os.path.realpath(sys.executable)
    child = subprocess.Popen(
        ["make", "-s", "-j4", "-f", "tools/setup.mk", python, *arguments],
        cwd=root,
        env={**env, "LANGUAGE": "en"},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=(lock,),
        start_new_session=True,
    )
    _end_on_signals(child)
    _, errors = child.communicate()
    if child.returncode:
        raise _failure(root / ".tools", errors.decode("utf-8", "replace"))


def _end_on_signals(child: subprocess.Popen[bytes]) -> None:
    def stop(number: int, _frame: object) -> None:
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGTERM)
        print("set-up: interrupted; run it again to go on", file=sys.stderr, flush=True)
        sys.exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def _failure(tools: Path, said: str) -> SetupError:
    """Return what went wrong in the first step that has begun and not ended, or in make itself."""
    for part in sorted(tools.glob("stamps/*.part")):
        log = tools / "logs" / (part.stem + ".log")
        text = log.read_text(encoding="utf-8", errors="replace")
        return SetupError(f"{part.stem}: {explain(text)} (all of it: {log})")
    return SetupError(explain(said))


def _disk(exc: OSError) -> str:
    where = exc.filename or "this checkout"
    if exc.errno == errno.ENOSPC:
        return f"the disk of {where} is full: free 3 GB"
    return f"{where}: {exc.strerror}: check who owns this checkout, and that it can be written"
