"""How soon a list follows: lines in Kafka, the worker, the lake, the refresh, the API, the proxy.

On a whole stack, with the site's traffic at 500 lines a second. First without new accounts, so that
nothing but the schedule starts a refresh: users watch the first movie of their list, and are asked
for theirs until it has gone. Lines are written over a whole period of the schedule: some have all
of it to wait. Then with new accounts, as the site creates them: each is asked for until the list is
its own. The limit is the schedule's period, and nothing: what is above is the service's own time.

    python -m bench.refresh_latency
"""

import contextlib
import http.client
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from kafka import KafkaConsumer, TopicPartition

from bench import running_stack
from bench.benchmark_report import Row, table
from bench.running_stack import Stack, playing
from movierec import settings
from movierec.api_contract import RECOMMEND_PATH
from movierec.stack import run_environment
from movierec.stack.processes.client import Client
from simulator.kafka_producer import BulkProducer

WATCHED_GOAL_S: Final = 420.0
ACCOUNT_GOAL_S: Final = 60.0
EVENTS_GOAL_PER_S: Final = 500.0
PERIOD_S: Final = 300.0

_USERS: Final = 20_000
_SITE: Final = (f"--users={_USERS}", "--movies=5000", "--seed=1")
_HISTORY: Final = ("--events=200000", "--days=3", "--requests=40")
# 35 lines follow a request, within seconds at this speed.
_RATE: Final = 17.0
_SPEEDUP: Final = 600.0
_NEW_ACCOUNTS: Final = 0.05

_SAMPLE_EVERY_S: Final = 6.0
_ACCOUNTS: Final = 40
_POLL_S: Final = 5.0
_ACCOUNT_POLL_S: Final = 1.0
_GIVE_UP_S: Final = 480.0
_NOBODY: Final = 999_999
# Of any film that there is: a minute after its end would be refused.
_MINUTE: Final = 4

_CREATED: Final = re.compile(rb"^[^,]+,(\d+),GET /create_account$")


@dataclass(slots=True)
class Waiting:
    """Who waits for a list, since when, and how long it took those who have it."""

    changed: Callable[[int, list[str]], bool]
    poll_s: float
    since_s: dict[int, float] = field(default_factory=dict)
    due_s: dict[int, float] = field(default_factory=dict)
    took_s: list[float] = field(default_factory=list)

    def add(self, user: int, since_s: float) -> None:
        """Wait for a user's list from a moment on."""
        self.since_s[user], self.due_s[user] = since_s, time.time()

    def poll(self, site: "_Asked") -> None:
        """Ask for those that are due."""
        for user, due_s in list(self.due_s.items()):
            if due_s > time.time():
                continue
            self.due_s[user] = time.time() + self.poll_s
            if self.changed(user, site.listed(user)):
                self.took_s.append(time.time() - self.since_s.pop(user))
                del self.due_s[user]

    def finish(self, site: "_Asked") -> None:
        """Ask until all have theirs; those who never get it count as long as we waited."""
        deadline_s = time.time() + _GIVE_UP_S
        while self.due_s and time.time() < deadline_s:
            self.poll(site)
            time.sleep(0.1)
        self.took_s += [time.time() - since_s for since_s in self.since_s.values()]


class _Asked:
    """The proxy, asked over one connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname or "", parts.port
        self._connection = http.client.HTTPConnection(*self._address, timeout=10)

    def listed(self, user: int) -> list[str]:
        try:
            self._connection.request("GET", f"{RECOMMEND_PATH}{user}")
            return self._connection.getresponse().read().decode().strip().split(",")
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return []


def run() -> list[Row]:
    """Measure on a stack of its own."""
    with playing(*_SITE, *_HISTORY) as stack:
        variables = run_environment.load(stack.run)
        site = _Asked(variables[settings.PROXY_URL])
        Client(stack.run).stop("live")
        with _traffic(stack, "watching") as lines:
            watched = _watched(site, variables)
            rate_per_s = lines()
        with _traffic(stack, "accounts", f"--new-accounts={_NEW_ACCOUNTS}"):
            accounts = _accounts(site, variables)
    return [
        Row("lines of the site", rate_per_s, "lines/s", "higher", EVENTS_GOAL_PER_S),
        *_quantiles(
            f"watched title out of the list, {len(watched)} users",
            watched,
            WATCHED_GOAL_S,
            {50: PERIOD_S / 2, 100: PERIOD_S},
        ),
        *_quantiles(f"list of a new account, {len(accounts)} users", accounts, ACCOUNT_GOAL_S, {}),
    ]


def _quantiles(
    name: str, took_s: list[float], goal_s: float, limits: Mapping[int, float]
) -> list[Row]:
    return [
        Row(
            f"{name}: {text}",
            float(np.percentile(took_s, percent)),
            "s",
            goal=goal_s if percent == 100 else None,  # noqa: PLR2004  the promise is to all
            rival="the schedule alone" if percent in limits else "",
            rival_value=limits.get(percent),
        )
        for percent, text in ((50, "median"), (90, "90th percentile"), (100, "longest"))
    ]


@contextlib.contextmanager
def _traffic(stack: Stack, name: str, *more: str) -> Iterator[Callable[[], float]]:
    """Let the site's users live; yields a function that tells the lines a second since then."""
    ledger = stack.run.site / f"{name}.json"
    process = subprocess.Popen(
        running_stack.command(
            stack.run,
            "simulate",
            *_SITE,
            *more,
            "--no-site",
            "--even",
            f"--rate={_RATE}",
            f"--speedup={_SPEEDUP}",
            f"--ledger={ledger}",
        ),
        cwd=stack.run.project.root,
        stdout=subprocess.DEVNULL,
    )
    began_s = time.time()

    def lines_per_s() -> float:
        found = json.loads(ledger.read_text(encoding="utf-8"))
        return float(found["lines"]["total"]) / (time.time() - began_s)

    try:
        yield lines_per_s
    finally:
        running_stack.stop(process)


def _watched(site: _Asked, variables: Mapping[str, str]) -> list[float]:
    """Let users watch the first movie of their list, over a period of the schedule."""
    rng = np.random.default_rng(1)
    users = rng.permutation(np.arange(1, _USERS + 1)).tolist()
    movies: dict[int, str] = {}
    waiting = Waiting(lambda user, listed: bool(listed) and movies[user] not in listed, _POLL_S)
    topic = variables[settings.TOPIC]
    end_s = time.time() + PERIOD_S
    with contextlib.closing(BulkProducer(settings.kafka_options(variables), topic)) as producer:
        while time.time() < end_s:
            next_s, user = time.time() + _SAMPLE_EVERY_S, users.pop()
            movies[user] = site.listed(user)[0]
            line = _line(user, f"GET /data/m/{movies[user]}/{_MINUTE}.mpg")
            producer.confirm(producer.send([line.encode()], [str(user).encode()], [0]))
            waiting.add(user, time.time())
            while time.time() < next_s:
                waiting.poll(site)
                time.sleep(0.1)
    waiting.finish(site)
    return waiting.took_s


def _line(user: int, what: str) -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S},{user},{what}"


def _accounts(site: _Asked, variables: Mapping[str, str]) -> list[float]:
    """Follow accounts as the site creates them."""
    usual = site.listed(_NOBODY)
    waiting = Waiting(lambda _, listed: len(listed) > 1 and listed != usual, _ACCOUNT_POLL_S)
    created = 0
    with contextlib.closing(_end_of_topic(variables)) as consumer:
        while created < _ACCOUNTS:
            polled: Any = consumer.poll(timeout_ms=200, max_records=5_000)
            for record in (one for records in polled.values() for one in records):
                if found := _CREATED.match(record.value):
                    created += 1
                    waiting.add(int(found[1]), record.timestamp / 1000)
            waiting.poll(site)
    waiting.finish(site)
    return waiting.took_s


def _end_of_topic(variables: Mapping[str, str]) -> KafkaConsumer:
    consumer = KafkaConsumer(**settings.kafka_options(variables))
    topic = variables[settings.TOPIC]
    partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_end(*partitions)
    return consumer


def main() -> int:
    """Measure and print."""
    print(table(run()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
