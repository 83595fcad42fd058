"""Steps of a set-up: each done once, remembered by what went into it, and safe to interrupt.

A step's stamp is written after the step succeeded and deleted before it begins, so whatever kills
a run, the next one knows which steps to do again. The stamp holds a hash of the step's inputs.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

# Raise it when a step is done differently and must be done again everywhere.
RECIPE = 1


class Problem(Exception):  # noqa: N818  # what the user has, rather than what the code has
    """What is missing and what to do about it, on one line."""


@dataclass(frozen=True)
class Step:
    """A piece of the set-up.

    `inputs` are files and texts that it depends on, `outputs` what has to be there afterwards.
    `needs` are steps whose results it builds upon: when one of those is done anew, so is this.
    `after` are steps that merely have to come first.
    """

    name: str
    build: Callable[[], None]
    inputs: Sequence[Path | str] = ()
    outputs: Sequence[Path] = ()
    needs: Sequence[str] = ()
    after: Sequence[str] = ()


@dataclass
class Workshop:
    """Where the work is done: the checkout, a clean environment, and the children at work."""

    root: Path
    env: Mapping[str, str]
    lock_fd: int = -1
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)
    aborted: bool = False
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @property
    def tools(self) -> Path:
        """The set-up's own folder."""
        return self.root / ".tools"

    def stamp(self, step: str) -> Path:
        """Where a step's completion is recorded."""
        return self.tools / "stamps" / (step + ".json")

    def run(
        self,
        step: str,
        command: Sequence[str | Path],
        extra: Mapping[str, str] | None = None,
    ) -> str:
        """Run a command in the checkout and return what it printed; all of it goes to a log.

        Raises Problem when it cannot be started or fails. The child keeps the set-up's lock: should
        this process be killed, the next set-up waits until its children are done as well.
        """
        log = self.tools / "logs" / (step + ".log")
        log.parent.mkdir(parents=True, exist_ok=True)
        arguments = [str(part) for part in command]
        try:
            child = self._start(arguments, {**self.env, **(extra or {})})
        except OSError as exc:
            raise Problem(f"{step}: cannot run {arguments[0]}: {exc.strerror}") from exc
        output, errors = child.communicate()
        with self._guard:
            self.children.remove(child)
        with log.open("ab") as file:
            file.write(f"$ {' '.join(arguments)}\n".encode() + output + errors)
        if child.returncode != 0:
            said = (output + errors).decode("utf-8", "replace")
            raise Problem(f"{step}: {explain(said)} (all of it: {log})")
        return output.decode("utf-8", "replace")

    def _start(self, arguments: list[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with self._guard:
            if self.aborted:
                raise Problem("interrupted: run it again to go on")
            child = subprocess.Popen(
                arguments,
                cwd=self.root,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(self.lock_fd,) if self.lock_fd >= 0 else (),
            )
            self.children.append(child)
            return child

    def abort(self) -> None:
        """End the children at work, and start no more."""
        with self._guard:
            self.aborted = True
            for child in self.children:
                child.terminate()


# What programs say, and what it means; the first that fits is told.
_MEANINGS = (
    (
        ("no space left on device",),
        "the disk is full: free 3 GB",
    ),
    (
        ("read-only file system", "permission denied"),
        "something cannot be written: check who owns this checkout and ~/.cache",
    ),
    (
        ("invalid peer certificate", "certificate verify failed", "unknownissuer"),
        "a certificate is not trusted: set SSL_CERT_FILE to your organisation's certificates",
    ),
    (
        ("hash mismatch", "do not match the hashes", "sha-256"),
        "a download is not what was locked: check your package index or mirror",
    ),
    (
        (
            "dns error",
            "error sending request",
            "failed to fetch",
            "connection refused",
            "connect timeout",
            "name or service not known",
            "temporary failure in name resolution",
            "network is unreachable",
            "max retries exceeded",
            "newconnectionerror",
            "failed to establish a new connection",
        ),
        "no network: check the connection, and HTTPS_PROXY or your package index if you use one",
    ),
    (
        (
            "no matching distribution found",
            "no solution found",
            "not found in the package registry",
        ),
        "the package index lacks it or does not answer: check the connection, and your mirror",
    ),
)


def explain(said: str) -> str:
    """Return one line on why a command failed: its meaning where known, and its last words."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = lines[-1] if lines else "no reason given"
    for words, meaning in _MEANINGS:
        for line in lines:
            if any(word in line.lower() for word in words):
                return f"{meaning} [{line[:200]}]"
    return last[:300]


def key(step: Step, root: Path, keys: Mapping[str, str]) -> str:
    """Return the hash of all that a step depends on, as hex."""
    digest = hashlib.sha256(f"{RECIPE}\n{root}\n".encode())
    for item in step.inputs:
        content = _content(item) if isinstance(item, Path) else item.encode()
        digest.update(hashlib.sha256(content).digest())
    for name in step.needs:
        digest.update(keys[name].encode())
    return digest.hexdigest()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as exc:
        raise Problem(f"{path} is missing: get the checkout whole again (git checkout)") from exc


def done(step: Step, stamp: Path, wanted: str) -> bool:
    """Say whether a step was completed with these inputs, and its outputs are still there."""
    try:
        found = json.loads(stamp.read_text(encoding="utf-8")).get("key")
    except (OSError, ValueError, AttributeError):
        return False
    return bool(found == wanted) and all(path.exists() for path in step.outputs)


def perform(step: Step, stamp: Path, wanted: str) -> float:
    """Do a step and return the seconds that it took. Raises Problem."""
    began = time.monotonic()
    stamp.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        stamp.unlink()
    step.build()
    missing = [str(path) for path in step.outputs if not path.exists()]
    if missing:
        raise Problem(f"{step.name}: finished without {', '.join(missing)}: report this")
    seconds = time.monotonic() - began
    publish(stamp, json.dumps({"key": wanted, "seconds": round(seconds, 2)}) + "\n")
    return seconds


def publish(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    part = path.with_name("." + path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def perform_all(
    steps: Sequence[Step],
    shop: Workshop,
    say: Callable[[str], None],
    *,
    force: bool = False,
) -> int:
    """Do the steps that are not done, those that can be at the same time, and return how many.

    `steps` are in an order in which they could be done one by one. Raises the first Problem, after
    the steps that were under way have ended.
    """
    keys: dict[str, str] = {}
    for step in steps:
        keys[step.name] = key(step, shop.root, keys)
    waiting: dict[str, Step] = {}
    for step in steps:
        outdated = force or any(name in waiting for name in step.needs)
        if outdated or not done(step, shop.stamp(step.name), keys[step.name]):
            waiting[step.name] = step
    count = len(waiting)
    running: dict[Future[float], str] = {}
    with ThreadPoolExecutor(4) as pool:
        while waiting or running:
            busy = set(waiting) | set(running.values())
            free = [s for s in waiting.values() if not busy.intersection((*s.needs, *s.after))]
            for step in free:
                del waiting[step.name]
                stamp = shop.stamp(step.name)
                running[pool.submit(perform, step, stamp, keys[step.name])] = step.name
            ended, _ = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in ended:
                name = running.pop(future)
                say(f"  {name:<12}{future.result():6.1f} s")
    return count


@contextlib.contextmanager
def only_one(path: Path, say: Callable[[str], None]) -> Iterator[int]:
    """Hold the checkout's lock, waiting for it if another set-up has it. Yields its descriptor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is at work in this checkout: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


@contextlib.contextmanager
def stoppable(shop: Workshop) -> Iterator[None]:
    """End the children when this process is asked to end, by Ctrl-C or a signal."""

    def stop(number: int, _frame: object) -> None:
        threading.Thread(target=shop.abort).start()  # its lock may be held by this very thread
        print("set-up: interrupted; run it again to go on", file=sys.stderr, flush=True)
        sys.exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    yield
