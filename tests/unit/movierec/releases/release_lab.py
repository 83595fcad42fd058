"""Releases on in-memory ports: models that pass the gate, a function, a clock, a bucket."""

from dataclasses import replace
from typing import Any

import numpy as np

from movierec.model import artifact, sealed_folder
from movierec.model.artifact import Model, Popular
from movierec.releases import evaluation, sequential_test
from movierec.releases.by_hand import ByHand
from movierec.releases.evaluation import Evaluation
from movierec.releases.log import ReleaseLog, Step, release_id
from movierec.releases.orchestrator import Orchestrator
from movierec.releases.policy import Policy
from movierec.releases.registry import Releases
from movierec.releases.request import Request
from movierec.releases.sequential_test import Trials, Verdict
from movierec.releases.state_machine import ReleaseState
from movierec.releases.traffic_split import TrafficSplit
from movierec.testing.memory import FakeClock, MemoryStore
from movierec.testing.releases import MemoryAlarms, MemoryFunction, MemoryTopic

M1, M2, M3 = (f"2026112{day}T101500Z-abc-def" for day in range(3))

POLICY = Policy(
    dwell_s=60, look_s=10, horizon_s=20, settle_s=5, step_limit_s=200, min_trials=100, margin=0.05
)

STABLE = TrafficSplit("1")


def canary(percent: float) -> TrafficSplit:
    """Return the split where the second version has this share of requests."""
    return TrafficSplit("1", "2", percent)


def metrics(gain: float | None, stderr: float | None) -> dict[str, Any]:
    """Return a report as train_als writes it into a manifest, with this gain in NDCG."""
    names = ("recall", "ndcg", "map", "hit_rate", "coverage", "novelty")
    sides = {side: dict.fromkeys(names, 0.1) for side in ("model", "popularity")}
    return {"k": 20, "test_users": 99, **sides, "gain": {"ndcg": {"mean": gain, "stderr": stderr}}}


def manifest_facts(version: str, **changes: Any) -> dict[str, Any]:
    return {
        "model_version": version,
        "groups": ["unknown"],
        "counts": {"users": 1_000},
        "metrics": metrics(0.05, 0.01),
        **changes,
    }


def put_model(store: MemoryStore, version: str, **changes: Any) -> None:
    """Store a complete model that the gate lets pass, but for what is changed of its manifest."""
    movies = [f"movie+{number}" for number in range(60)]
    popular = Popular(tuple(movies[:50]), tuple(movies[:50]), {"unknown": tuple(movies[:50])})
    topk = np.arange(artifact.TOP_K, dtype=np.uint16)[np.newaxis]
    factors, groups = np.zeros((60, 2), np.float32), np.zeros(8, np.uint8)
    model = Model(topk, np.array([7]), movies, popular, groups, factors[:1], factors)
    files = artifact.pack(model)
    sealed = sealed_folder.seal(files, manifest_facts(version, **changes))
    for name, body in {**files, sealed_folder.MANIFEST_FILE: sealed}.items():
        store.objects[artifact.key(version, name)] = body


class Lab:
    """A function whose version 1 serves M1 to all requests, and two newer models."""

    def __init__(self) -> None:
        self.clock, self.store = FakeClock(), MemoryStore()
        for version in (M1, M2):
            put_model(self.store, version)
        self.function, self.alarms, self.topic = MemoryFunction(), MemoryAlarms(), MemoryTopic()
        self.log = ReleaseLog(self.store, self.clock)
        self.releases = Releases(
            self.function,
            self.log,
            self.clock,
            self.alarms,
            self.topic,
            lambda key: f"https://s3/{key}",
        )

    def serve(self, model: str = M1) -> None:
        """Release a model to all requests, by hand."""
        ByHand(self.releases).release_now(model)
        self.clock.advance(1)

    def begin(self, request: Request | None = None, **policy: Any) -> str:
        """Ask for a release whose turn it is, and return its name."""
        self.clock.advance(1)
        release = release_id(self.clock.now())
        changed = replace(POLICY, **policy)
        assert Orchestrator(self.releases).begin(release, request or Request(), changed) == "now"
        return release

    def tested(self, request: Request | None = None, **policy: Any) -> str:
        """Take a release as far as its smoke test."""
        release = self.begin(request, **policy)
        for step in (
            Orchestrator(self.releases).check,
            Orchestrator(self.releases).cut,
            Orchestrator(self.releases).test,
        ):
            step(release)
        return release

    def exposed(self, **policy: Any) -> str:
        """Take a release to its first users."""
        release = self.tested(**policy)
        Orchestrator(self.releases).advance(release)
        return release

    def tick(
        self, release: str, verdict: Verdict | None = None, seconds: float = 61
    ) -> ReleaseState:
        """Advance after some time, on trials that lead to a verdict."""
        self.clock.advance(seconds)
        found = self.evaluation(release, verdict) if verdict else None
        return Orchestrator(self.releases).advance(release, found)

    def evaluation(self, release: str, verdict: Verdict) -> Evaluation:
        """Return what evaluate_online would answer, with its trials stored."""
        now = self.clock.now()
        body = sequential_test.pack(_TRIALS[verdict])
        key = evaluation.trials_key(release, now)
        self.store.put(key, body)
        bare = Evaluation(release, now, now, {}, {}, {}, trials_key=key)
        sealed = replace(bare, trials_sha256=sealed_folder.checksum(body)["sha256"])
        found = evaluation.judge(sealed, _TRIALS[verdict], POLICY)
        assert found.verdict == verdict
        return found

    def steps(self, release: str) -> list[str]:
        return [step.name for step in self.log.steps(release)]

    def last(self, release: str) -> Step:
        return self.log.last(release)


def _trials(count: int, stable_hits: float, canary_hits: float) -> Trials:
    rng = np.random.default_rng(1)
    canary = rng.random(count) < 0.5
    hit = rng.random(count) < np.where(canary, canary_hits, stable_hits)
    return Trials(canary, hit, np.full(count, 0.5))


_TRIALS: dict[Verdict, Trials] = {
    "unclear": _trials(50, 0.1, 0.1),
    "fine": _trials(20_000, 0.1, 0.1),
    "worse": _trials(20_000, 0.3, 0.1),
}
