"""A small site between trainings: a real Delta lake, a bucket with a model, and an alias."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from aws_lambda_powertools import Logger, Metrics

from functions.build_dataset import handler as building
from functions.refresh import handler, movies, overlay_store, served_model
from functions.refresh.handler import Dependencies
from functions.train_als import handler as training
from movierec.aws.delta_lake import DeltaLake
from movierec.lake import plausible_times
from movierec.model import artifact, encoding, overlay
from movierec.model.ranking import Recommender
from movierec.releases.traffic_split import TrafficSplit
from movierec.runtime.stage_usage import StageUsage
from movierec.testing.memory import FakeClock, MemoryStore
from movierec.testing.releases import MemoryFunction

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
N_USERS, N_MOVIES = 40, 30
TOPIC = "movielog1"
TASTES = ("evens", "odds")


class OddsAndEvens:
    """Understands two words: those who like odds like odd movies, and so on."""

    def __init__(self, movies):
        self.by_word = {word: movies[n::2].mean(axis=0) for n, word in enumerate(TASTES)}

    def users(self, descriptions, _groups):
        return np.array([self.of(d.likes) - self.of(d.dislikes) for d in descriptions])

    def movies(self, texts):
        return np.array([self.of(" ".join(t.genres)) for t in texts])

    def of(self, text):
        nothing = np.zeros_like(self.by_word["odds"])
        return sum((self.by_word[w] for w in text.split() if w in self.by_word), nothing)


def columns(rows):
    """Return events of one kind as a batch; each is at the second of its offset."""
    found = {name: [row[name] for row in rows] for name in rows[0]}
    at = [START.replace(tzinfo=None) + timedelta(seconds=o) for o in found["kafka_offset"]]
    times = np.array(at, "datetime64[us]")
    numbers = {k: np.array(v) for k, v in found.items() if isinstance(v[0], int)}
    return {**found, **numbers, "event_time": times, "event_date": times.astype("datetime64[D]")}


def event(kind, offset, user, *, partition=0, topic=TOPIC, **values):
    place = {"topic": topic, "kafka_partition": partition, "kafka_offset": offset}
    return {"kind": kind, "user_id": user, **place, **values}


def watch(offset, user, movie, minute=80, **place):
    return event("watch", offset, user, movie_id=f"m{movie:02}", minute=minute, **place)


class Site:
    """A lake, a bucket with a model of its first events, and an alias that serves it."""

    def __init__(self, folder):
        self.lake, self.store, self.clock = DeltaLake(str(folder)), MemoryStore(), FakeClock()
        self.function = MemoryFunction()
        self.tastes: Callable[[Any], Any] = lambda _movies: None
        self.new_reader: Any = None
        rng = np.random.default_rng(5)
        self.price([None] * N_MOVIES)
        self.know(range(1, N_USERS + 1))
        # Two tastes: even and odd users watch even and odd movies.
        users = rng.integers(1, N_USERS + 1, 900)
        watched = 2 * rng.integers(0, N_MOVIES // 2, 900) + users % 2
        rows = [watch(i, u, m) for i, (u, m) in enumerate(zip(users, watched, strict=True))]
        self.append("events", columns(rows))
        self.seen = {u: {m for v, m in zip(users, watched, strict=True) if v == u} for u in users}
        self.logger, self.metrics = Logger(service="test"), Metrics(namespace="n", service="test")

    def times(self, n):
        return np.full(n, self.clock.now().replace(tzinfo=None), "datetime64[us]")

    def append(self, table, batch):
        self.lake.append(table, [batch], transactions={})

    def know(self, users, age=30, likes="", dislikes=""):
        """Add users to the catalog; of age -1 or gender None the site has none."""
        ids = np.array(users)
        known = {
            "user_id": ids,
            "age": np.full(len(ids), age),
            "gender": ["F"] * len(ids),
            "self_description_likes": [likes] * len(ids),
            "self_description_dislikes": [dislikes] * len(ids),
        }
        self.append("users", {**known, "loaded_at": self.times(len(ids))})

    def premiere(self, movie_ids, genre, adult=0):
        """Add movies to the catalog."""
        movies = {
            "movie_id": movie_ids,
            "runtime_minutes": np.full(len(movie_ids), 100),
            "adult": np.full(len(movie_ids), adult),
            "genres": [[genre]] * len(movie_ids),
        }
        self.append("movies", {**movies, "loaded_at": self.times(len(movie_ids))})

    def price(self, costs):
        """Load the movies, with costs."""
        movies = {
            "movie_id": [f"m{i:02}" for i in range(N_MOVIES)],
            "runtime_minutes": np.full(N_MOVIES, 100),
            "adult": (np.arange(N_MOVIES) % 9 == 4).astype(np.int64),
            "genres": [[TASTES[i % 2]] for i in range(N_MOVIES)],
            "cost_usd": costs,
        }
        self.append("movies", {**movies, "loaded_at": self.times(N_MOVIES)})

    def train(self, **more):
        built = building.build_dataset(
            {}, building.Dependencies(self.lake, self.store, "abc", self.logger, self.metrics)
        )
        deps = training.Dependencies(
            store=self.store,
            clock=self.clock,
            code_version="abc",
            threads=1,
            memory_bytes=10**9,
            usage=StageUsage,
            logger=self.logger,
            metrics=self.metrics,
        )
        event = {"dataset_id": built["dataset_id"], "parameters": {"factors": 4, "iterations": 5}}
        event |= more
        return training.train_als(event, deps)["model_version"]

    def serve(self, stable, canary=None):
        first = self.function.publish(stable, "")
        second = self.function.publish(canary, "") if canary else None
        split = TrafficSplit(first, second, 5.0 if second else 0.0)
        self.function.force_update(split, "release")

    def refresh(self):
        deps = Dependencies(
            lake=self.lake,
            store=self.store,
            function=self.function,
            clock=self.clock,
            load_model=self.load_model,
            new_movies=movies.predictor(self.lake, 2),
            plausible=plausible_times.DEFAULT,
            code_version="abc",
            logger=self.logger,
            metrics=self.metrics,
            new_reader=self.new_reader,
        )
        return handler.refresh_lists(deps)["models"]

    def load_model(self, version):
        found = served_model.load(self.store, version)
        return replace(found, tastes=self.tastes(found.base.fold_in.movies))

    def newest(self, model):
        found = overlay_store.load(self.store, model, N_MOVIES)
        return None if found is None else found.state.overlay

    def answer(self, model, user, count=10):
        files = {}
        for name in artifact.SERVING_FILES:
            files[name] = self.store.get(artifact.key(model, name))
        arrays = {n: encoding.load_npy(n, b) for n, b in files.items() if n.endswith(".npy")}
        newest = self.newest(model) or overlay.Overlay.empty()
        return Recommender.of(files, arrays).recommend(user, count, newest)
