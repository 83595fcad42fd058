"""Resuming a stopped run: time to its first recommendation, and request latency during saves."""

import http.client
import statistics
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bench.benchmark_report import Row
from bench.running_stack import command, playing, stop
from movierec.aws.session import client
from movierec.stack import loopback_ports, run_environment
from movierec.stack.layout import Run
from movierec.stack.services import emulator

RESUME_GOAL_S: Final = 15.0
SAVE_GOAL_S: Final = 1.0
WAIT_GOAL_MS: Final = 50.0

SAVES: Final = 30
_PAUSE_S: Final = 1.0
_USER: Final = 42
# Ten million events took 430 s on two cores.
_PLAYED_WITHIN_S: Final = 1800.0
# Sources of an answer that comes from the API; the third, the proxy's own, is the fallback.
_FROM_API: Final = frozenset({"model", "popular"})
# As a line of structured log; more than a megabyte at once is refused.
_LOG_BYTES: Final = 300
_LOG_BATCH: Final = 2500
_POLL_S: Final = 0.05
_WITHIN_S: Final = 300.0


def resumed(events: int, models: int, rounds: int) -> list[Row]:
    """Return the rows of a run with that many events and models."""
    with playing(f"--events={events}", within_s=_PLAYED_WITHIN_S) as stack:
        run = stack.run
        for _ in range(models - len(stack.summary["models"])):
            _movierec(run, "retrain")
        lake = stack.summary["events"]["lake"]["total"]
        stop(stack.process)
        answered_s = [_resume_s(run) for _ in range(rounds)]
        anew_s = _anew_s(run.project.run(f"anew-{uuid.uuid4().hex[:8]}"))
        _movierec(run, "up")
        run_environment.adopt(run_environment.load(run))
        client.cache_clear()
        _fill_a_log_group()
        rows = _saves(run)
    resume = Row(
        f"up recommends again, {lake:,} events and {models} models, median",
        statistics.median(answered_s),
        "s",
        goal=RESUME_GOAL_S,
        rival="up with nothing kept, which has no model yet",
        rival_value=anew_s,
    )
    slowest = Row("the slowest of these", max(answered_s), "s", goal=RESUME_GOAL_S)
    return [resume, slowest, *rows]


def _movierec(run: Run, *arguments: str) -> None:
    subprocess.run(command(run, *arguments), check=True, cwd=run.project.root)


def _resume_s(run: Run) -> float:
    """Bring a stopped run up; return the seconds until the API's first recommendation."""
    begin_s = time.perf_counter()
    with subprocess.Popen(command(run, "up"), cwd=run.project.root) as up:
        port = loopback_ports.port(run, loopback_ports.PROXY)
        while _source(port) not in _FROM_API:
            if time.perf_counter() - begin_s > _WITHIN_S:
                raise TimeoutError(f"no recommendation after {_WITHIN_S:g} s; logs: {run.logs}")
            time.sleep(_POLL_S)
        took_s = time.perf_counter() - begin_s
        if up.wait() != 0:
            raise RuntimeError(f"`movierec up` ended with {up.returncode}; logs: {run.logs}")
    _movierec(run, "down")
    return took_s


def _source(port: int) -> str | None:
    """Return the source of the proxy's answer, None if there was none."""
    connection = http.client.HTTPConnection(loopback_ports.HOST, port, timeout=5)
    try:
        connection.request("GET", f"/recommend/{_USER}")
        return connection.getresponse().getheader("X-Recommendation-Source")
    except OSError:
        return None
    finally:
        connection.close()


def _anew_s(run: Run) -> float:
    begin_s = time.perf_counter()
    try:
        _movierec(run, "up")
        return time.perf_counter() - begin_s
    finally:
        _movierec(run, "down", "--wipe")


# Saves --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Asker:
    """Sends the emulator cheap requests one after another, and times them."""

    ask: Callable[[], object]
    took: list[tuple[float, float]] = field(default_factory=list)
    """When each request began and ended, seconds."""
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Send requests until stopped."""
        while not self.over.is_set():
            begin_s = time.perf_counter()
            self.ask()
            self.took.append((begin_s, time.perf_counter()))


def _fill_a_log_group() -> None:
    """Fill a log group to the size at which its oldest events are deleted."""
    logs = client("logs")
    of = {"logGroupName": "bench", "logStreamName": "bench"}
    logs.create_log_group(logGroupName="bench")
    logs.create_log_stream(**of)
    for _ in range(0, _log_events(), _LOG_BATCH):
        now_ms = int(time.time() * 1000)
        event = {"timestamp": now_ms, "message": "x" * _LOG_BYTES}
        logs.put_log_events(**of, logEvents=[event] * _LOG_BATCH)


def _log_events() -> int:
    return emulator.LOG_EVENTS * 11 // 10  # a tenth more is allowed


def _saves(run: Run) -> list[Row]:
    """Time saves of all services' state, each after a change in one of them."""
    port = loopback_ports.port(run, loopback_ports.EMULATOR)
    asker = _Asker(client("sts").get_caller_identity)
    thread = threading.Thread(target=asker.run)
    thread.start()
    try:
        saves = [_save(port, number) for number in range(SAVES)]
    finally:
        asker.over.set()
        thread.join()
    during, between = _waits_ms(asker, saves)
    longest = [max(waits) for waits in during]
    goal_ms = WAIT_GOAL_MS + statistics.median(between)
    state_mb = _state_bytes(run) / 1e6
    return [
        Row(
            f"a save of everything but S3 ({state_mb:.1f} MB, {_log_events():,} log events), "
            f"slowest of {SAVES}",
            max(end_s - begin_s for begin_s, end_s in saves),
            "s",
            goal=SAVE_GOAL_S,
        ),
        Row(
            "longest that a request took while that went on",
            max(longest),
            "ms",
            goal=goal_ms,
            rival="longest otherwise, beside the saves of every 5 s",
            rival_value=max(between),
        ),
        Row(
            "longest while one save went on, median of these",
            statistics.median(longest),
            "ms",
            goal=goal_ms,
        ),
    ]


def _save(port: int, number: int) -> tuple[float, float]:
    """Have the emulator save; return the times of begin and end."""
    client("ssm").put_parameter(Name="bench", Value=str(number), Type="String", Overwrite=True)
    time.sleep(_PAUSE_S)  # what is measured between two saves
    begin_s = time.perf_counter()
    emulator.save(port)
    return begin_s, time.perf_counter()


def _waits_ms(
    asker: _Asker, saves: list[tuple[float, float]]
) -> tuple[list[list[float]], list[float]]:
    """Return the latencies of requests during each save, and of those outside of saves."""
    during: list[list[float]] = [[] for _ in saves]
    between: list[float] = []
    for begin_s, end_s in asker.took:
        took_ms = (end_s - begin_s) * 1000
        met = [n for n, (began, ended) in enumerate(saves) if begin_s < ended and end_s > began]
        for number in met:
            during[number].append(took_ms)
        if not met:
            between.append(took_ms)
    return during, between


def _state_bytes(run: Run) -> int:
    newest = max((run.emulator_state / "generations").glob("[0-9]*"))
    return sum(path.stat().st_size for path in newest.rglob("*") if path.is_file())
