"""A site whose lists and lines lie in a lake, and the evaluation of them."""

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import numpy as np
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.evaluate_online import handler
from functions.evaluate_online.handler import Dependencies
from movierec.releases.evaluation import Evaluation
from movierec.releases.policy import Policy
from movierec.testing.memory import FakeClock, MemoryStore

# Ten minutes before midnight: lists and what comes of them lie on two days.
START = datetime(2026, 11, 20, 23, 50, tzinfo=UTC)
HORIZON_S = 600.0
POLICY = Policy(horizon_s=HORIZON_S, settle_s=30.0, min_trials=30, sharpest_at_trials=300)
MODELS = {"3": "20261119T235000Z-abc-d1", "4": "20261120T235000Z-abc-d2", "": ""}


def moment(seconds):
    return START + timedelta(seconds=seconds)


def answer(seconds, user, movies, version="3", source="model"):
    return {
        "served_at": moment(seconds),
        "recommendation_id": f"{user}-{seconds}",
        "user_id": user,
        "movie_ids": movies,
        "model_version": MODELS[version],
        "function_version": version,
        "source": source,
        "status": 200,
        "latency_ms": 20.0,
    }


def watch(seconds, user, movie, minute=0):
    return line("watch", seconds, user) | {"movie_id": movie, "minute": minute}


def rate(seconds, user, movie, rating):
    return line("rate", seconds, user) | {"movie_id": movie, "rating": rating}


def asked(seconds, user, status=200):
    return line("recommend", seconds, user) | {"status": status}


def line(kind, seconds, user):
    return {"kind": kind, "event_time": moment(seconds).replace(microsecond=0), "user_id": user}


def alive(seconds, n=10):
    """Return lines that show that the lake is up to date: of a user who got no list."""
    return [watch(seconds, 999, "elsewhere", i) for i in range(n)]


def columns(rows, time, day):
    found = {name: [row[name] for row in rows] for name in rows[0]}
    times = np.array([t.replace(tzinfo=None) for t in found[time]], "datetime64[us]")
    numbers = {k: np.array(v) for k, v in found.items() if isinstance(v[0], (int, float))}
    return {**found, **numbers, time: times, day: times.astype("datetime64[D]")}


class Site:
    """Fills a lake with what a site did."""

    def __init__(self, lake):
        self.lake = lake
        self.offset = 0

    def serve(self, *answers):
        batch = columns(answers, "served_at", "served_date")
        self.lake.append("served", [batch], transactions={})

    def log(self, *lines):
        by_kind = defaultdict(list)
        for row in lines:
            self.offset += 1
            by_kind[row["kind"]].append({**row, "kafka_partition": 0, "kafka_offset": self.offset})
        batches = [columns(rows, "event_time", "event_date") for rows in by_kind.values()]
        self.lake.append("events", batches, transactions={})

    def load(self, costs=None, day="2026-11-20", **runtimes):
        """Load movies with their runtimes; `costs` has as many, None where there is none."""
        movies = {
            "movie_id": list(runtimes),
            "runtime_minutes": np.array(list(runtimes.values())),
            "loaded_at": np.array([day] * len(runtimes), "datetime64[us]"),
        }
        if costs:
            movies["cost_usd"] = costs
        self.lake.append("movies", [movies], transactions={})


def dependencies(lake):
    """Return evaluate_online's, an hour after the site's start."""
    return Dependencies(
        lake=lake,
        store=MemoryStore(),
        clock=FakeClock(moment(3600)),
        policy=POLICY,
        logger=Logger(service="test"),
        metrics=EphemeralMetrics(service="", namespace="movierec"),
    )


def release(*weights, since=0):
    history = [[moment(seconds).isoformat(), percent] for seconds, percent in weights]
    return {
        "release_id": "r1",
        "stable": "3",
        "canary": "4",
        "since": moment(since).isoformat(),
        "weights": history,
    }


def evaluate(deps, event=None):
    return Evaluation.from_json(
        json.loads(json.dumps(handler.evaluate_online(event or {}, deps), allow_nan=False))
    )


def fill(site):
    """Serve five lists over midnight, log what comes of them; derived by hand in the tests."""
    site.load([1.0, 2.0, 3.0, 4.0, 5.0], a=100, b=50, c=0, d=90, never=60)
    site.serve(
        answer(100.5, 1, ["a", "b", "c"]),
        answer(580, 2, ["b", "a"], "4"),
        answer(600, 1, ["c"], "4", "popular"),
        answer(700, 3, ["d"], "4"),
        answer(710, 4, ["a"], "", "fallback"),
        answer(3300, 5, ["a"]),
    )
    site.log(
        *(asked(100, 1), asked(580, 2), asked(600, 1), asked(700, 3, 0)),
        *(watch(100, 1, "a", 0), watch(160, 1, "a", 1), watch(699, 1, "a", 40)),
        *(watch(1180, 2, "b", 25), rate(900, 2, "a", 4), rate(1300, 2, "b", 1)),
        *(rate(650, 1, "c", 5), watch(690, 4, "a", 99), watch(3301, 5, "a", 9)),
        *alive(3400),
    )
