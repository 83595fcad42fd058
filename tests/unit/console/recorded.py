"""A recorded system on fakes: an hour of a site with a canary at 25%, for tests and pictures."""

import json
import math
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from console.system import System
from movierec.errors import ConfigError, UnavailableError
from movierec.model import artifact, dataset, sealed_folder
from movierec.model.texts import Description, MovieText
from movierec.provenance.checks import Check
from movierec.releases.alarm_states import Alarm
from movierec.releases.log import ReleaseLog, Step, release_id
from movierec.releases.policy import Policy
from movierec.releases.registry import Releases
from movierec.releases.traffic_split import TrafficSplit
from movierec.taste.served_list import Facts
from movierec.testing.memory import FakeClock, MemoryLake, MemoryStore
from movierec.testing.memory_activity import MemoryActivity
from movierec.testing.memory_alarms import MemoryAlarmStates
from movierec.testing.memory_lineages import MemoryLineages
from movierec.testing.releases import MemoryAlarms, MemoryFunction, MemoryTopic
from tests.unit.movierec.provenance.example import CHAIN

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
OLD_MODEL = "20261118T031500Z-4f0c2d1-9b1ce07a"
MODEL = "20261119T031500Z-77ab310-c02d5f6e"
NEW_MODEL = "20261120T031500Z-a91be44-d7e01c35"

MOVIES = {
    "the+quiet+harbor+1999": "The Quiet Harbor",
    "second+spring+2004": "Second Spring",
    "night+train+north+2011": "Night Train North",
    "a+field+of+glass+2017": "A Field of Glass",
    "the+clockmaker+1987": "The Clockmaker",
    "salt+and+cedar+2020": "Salt and Cedar",
    "low+tide+2015": "Low Tide",
    "paper+lanterns+2008": "Paper Lanterns",
}

CHECKS = (
    Check("model topk.npy", "2400000 bytes, sha256 0a1b", "2400000 bytes, sha256 0a1b"),
    Check("lake rows, watch", "90", "90"),
    Check("the model's answer", "a+1999, b+2000", "a+1999, b+2000"),
)

HEALTH: dict[str, Any] = {
    "ok": True,
    "failing": "",
    "partitions": {"movielog1-0": 12, "movielog1-1": 7},
    "lag_lines": 19,
    "lag_s": 1.8,
    "lines_per_s": 63.4,
    "quarantined": {"malformed": 0.0009, "unknown_movie": 0.0004},
    "since_flush_s": 2.1,
    "waiting": {
        "lines": 41,
        "admitted": 318,
        "movies_found": 64,
        "movies_unknown": 3,
        "users_found": 212,
        "users_unknown": 0,
        "site_failure": "",
    },
    "site_clocks": {
        "movielog1": {
            "basis": "found",
            "offset_minutes": -300,
            "share": 0.997,
            "samples": 300,
            "wrong": "",
        }
    },
}


@dataclass
class Site:
    """A system on fakes, whose parts a test may change or have fail."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))
    lake: MemoryLake = field(default_factory=MemoryLake)
    store: MemoryStore = field(default_factory=MemoryStore)
    function: MemoryFunction = field(default_factory=lambda: MemoryFunction("movierec-api"))
    alarms: MemoryAlarmStates = field(default_factory=MemoryAlarmStates)
    canary_alarms: MemoryAlarms = field(default_factory=MemoryAlarms)
    topic: MemoryTopic = field(default_factory=MemoryTopic)
    lineages: MemoryLineages = field(default_factory=MemoryLineages)
    health: dict[str, Any] | None = None
    restarted: list[str] = field(default_factory=list)

    @property
    def log(self) -> ReleaseLog:
        return ReleaseLog(self.store, self.clock)

    @property
    def releases(self) -> Releases:
        return Releases(
            self.function,
            self.log,
            self.clock,
            self.canary_alarms,
            self.topic,
            lambda key: f"https://s3/{key}",
        )

    @property
    def system(self) -> System:
        def health():
            if self.health is None:
                raise ConfigError("MOVIEREC_INGEST_URL is not set: run through `movierec`")
            return self.health

        return System(
            clock=self.clock,
            store=lambda: self.store,
            activity=lambda: MemoryActivity(self.lake),
            releases=lambda: self.releases,
            alarms=lambda: self.alarms,
            ingest=health,
            lineages=lambda: self.lineages,
            list_facts=lambda _user: Facts(Description(), {}, lambda ids: [MovieText()] * len(ids)),
            restart_execution=self._restart,
        )

    def _restart(self, release: str) -> str | None:
        self.restarted.append(release)
        return None

    def fail(self, times: int = 1_000) -> "Site":
        """Have every part fail from now on."""
        self.lake.fail_reads = self.store.fail_gets = self.alarms.fail_reads = times
        self.lineages.fail_reads = times
        self.health = None
        self.function.fail_reads = times
        self.store.keys = _unavailable  # type: ignore[method-assign, assignment]
        return self


def _unavailable(*_: object) -> Any:
    raise UnavailableError("the emulator does not answer at 127.0.0.1:4566; see `movierec status`")


def empty() -> Site:
    """Return a system that is up, and has had neither lines nor models."""
    return Site(health={**HEALTH, "quarantined": {}, "site_clocks": {}, "since_flush_s": None})


def busy() -> Site:
    """Return a system in full swing."""
    site = Site(health=HEALTH)
    _fill_lake(site)
    _release(site)
    _models(site)
    site.alarms.found += _alarms()
    site.lineages = MemoryLineages([CHAIN], CHECKS)
    return site


# The lake -----------------------------------------------------------------------------------


def us(at: datetime) -> np.datetime64:
    return np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us")


def times(moments: list[datetime]) -> dict[str, Any]:
    found = np.array([us(at) for at in moments], "datetime64[us]")
    return {"event_time": found, "event_date": found.astype("datetime64[D]")}


def _fill_lake(site: Site) -> None:
    rng = random.Random(4)
    moments = [NOW - timedelta(seconds=s) for s in range(15, 3_500, 3)]
    asked = [at for at in moments if rng.random() < 0.75 + 0.2 * math.sin(at.timestamp() / 500)]
    statuses = [200 if rng.random() > 0.002 else 500 for _ in asked]
    site.lake.append(
        "events",
        [
            {
                "kind": ["recommend"] * len(asked),
                **times(asked),
                "user_id": np.array([rng.randint(1, 900) for _ in asked], "int64"),
                "status": np.array(statuses, "int16"),
                "latency_ms": np.array([int(rng.lognormvariate(3.2, 0.5)) for _ in asked], "int32"),
            }
        ],
        transactions={},
    )
    seen = [at for at in moments for _ in range(3)]
    site.lake.append(
        "events",
        [
            {
                "kind": ["watch"] * len(seen),
                **times(seen),
                "user_id": np.array([rng.randint(1, 900) for _ in seen], "int64"),
                "movie_id": [rng.choice(list(MOVIES)) for _ in seen],
                "minute": np.array([rng.randint(0, 110) for _ in seen], "int32"),
            },
            {
                "kind": ["rate"] * (len(seen) // 9),
                **times(seen[::9][: len(seen) // 9]),
                "user_id": np.array([rng.randint(1, 900) for _ in seen[: len(seen) // 9]], "int64"),
                "movie_id": [rng.choice(list(MOVIES)) for _ in seen[: len(seen) // 9]],
                "rating": np.array([rng.randint(1, 5) for _ in seen[: len(seen) // 9]], "int16"),
            },
        ],
        transactions={},
    )
    _fill_served(site, asked, rng)
    _fill_quarantine(site)
    _fill_catalog(site)


def _fill_served(site: Site, moments: list[datetime], rng: random.Random) -> None:
    chosen = [rng.random() for _ in moments]
    canary = [share < 0.25 for share in chosen]
    source = ["fallback" if s > 0.992 else "popular" if s > 0.94 else "model" for s in chosen]
    served = np.array([us(at) for at in moments], "datetime64[us]")
    detail = json.dumps({"v": 1, "refresh": 12, "reason": "fold_in"})
    site.lake.append(
        "served",
        [
            {
                "served_date": served.astype("datetime64[D]"),
                "served_at": served,
                "recommendation_id": [f"0b5e{i:04x}-7d1c-4f63" for i in range(len(moments))],
                "user_id": np.array(
                    [7 if i % 60 == 0 else rng.randint(8, 900) for i in range(len(moments))],
                    "int64",
                ),
                "movie_ids": [rng.sample(list(MOVIES), 5) for _ in moments],
                "model_version": [NEW_MODEL if c else MODEL for c in canary],
                "function_version": [
                    "" if s == "fallback" else "8" if c else "7"
                    for c, s in zip(canary, source, strict=True)
                ],
                "source": source,
                "status": np.array([200] * len(moments), "int16"),
                "latency_ms": np.array([rng.lognormvariate(3, 0.4) for _ in moments], "float64"),
                "detail": [detail if i % 60 == 0 else None for i in range(len(moments))],
            }
        ],
        transactions={},
    )


LINES = {
    "malformed": [
        b"2026-11-20T06:58:11,4711,GET /data/m/low+tide+2015/",
        b"2026-11-20T06:57:02,88,GET /rate/second+spring+2004=\xff",
    ],
    "rating_out_of_range": [b"2026-11-20T06:51:40,309,GET /rate/the+clockmaker+1987=11"],
    "unknown_movie": [b"2026-11-20T06:59:01,12,GET /data/m/a+film+of+today+2026/3.mpg"],
}


def _fill_quarantine(site: Site) -> None:
    rows = [(reason, raw) for reason, lines in LINES.items() for raw in lines * 6]
    moments = [NOW - timedelta(minutes=3 * i + 1) for i in range(len(rows))]
    at = np.array([us(each) for each in moments], "datetime64[us]")
    site.lake.append(
        "quarantine",
        [
            {
                "quarantined_date": at.astype("datetime64[D]"),
                "ingested_at": at,
                "reason": [reason for reason, _ in rows],
                "raw": [raw for _, raw in rows],
                "kafka_partition": np.zeros(len(rows), "int32"),
                "kafka_offset": np.arange(len(rows), dtype="int64"),
                "topic": ["movielog1"] * len(rows),
            }
        ],
        transactions={},
    )


def _fill_catalog(site: Site) -> None:
    loaded = np.array([us(NOW - timedelta(days=2))] * len(MOVIES), "datetime64[us]")
    site.lake.append(
        "movies",
        [
            {
                "movie_id": list(MOVIES),
                "title": list(MOVIES.values()),
                "runtime_minutes": np.array([95 + i for i in range(len(MOVIES))], "int32"),
                "adult": np.zeros(len(MOVIES), "int16"),
                "genres": [["Drama", "Mystery"]] * len(MOVIES),
                "release_date": ["1999"] * len(MOVIES),
                "cost_usd": np.array([0.11 + i / 100 for i in range(len(MOVIES))]),
                "loaded_at": loaded,
            }
        ],
        transactions={},
    )
    site.lake.append(
        "users",
        [
            {
                "user_id": np.array([7], "int64"),
                "age": np.array([34], "int16"),
                "gender": ["F"],
                "occupation": ["scientist"],
                "self_description_likes": ["slow mysteries by the sea"],
                "self_description_dislikes": ["gore"],
                "loaded_at": loaded[:1],
            }
        ],
        transactions={},
    )


# Releases -----------------------------------------------------------------------------------

POLICY = Policy(dwell_s=600, step_limit_s=7_200, horizon_s=300)
CANARY = TrafficSplit("7", "8", 25.0)


def _release(site: Site) -> None:
    for model in (OLD_MODEL,) * 6 + (MODEL, NEW_MODEL):
        site.function.publish(model, "")
    _finished(site, NOW - timedelta(days=1, hours=3), OLD_MODEL, "6", "rollback")
    _finished(site, NOW - timedelta(hours=20), MODEL, "7", "promote")
    _walk(site, NOW - timedelta(minutes=95))


def _finished(site: Site, began: datetime, model: str, version: str, end: str) -> None:
    release, before = release_id(began), TrafficSplit(str(int(version) - 1))
    canary = replace(before, canary=version, canary_percent=5.0)
    after = TrafficSplit(version) if end == "promote" else before
    reason = (
        "held its time with all users"
        if end == "promote"
        else "its lists are watched less than the stable version's"
    )
    names: list[tuple[str, TrafficSplit | None, TrafficSplit | None, str]] = [
        ("start", before, None, ""),
        ("gate", before, None, ""),
        ("cut", before, None, ""),
        ("smoke", before, None, ""),
        ("weigh", before, canary, "passed its smoke test"),
        (end, canary, after, reason),
    ]
    for i, (name, was, now, why) in enumerate(names):
        at = (began + timedelta(minutes=7 * i)).isoformat()
        step = Step(release, "movierec-api", model, was, name, version, now, why, at)  # type: ignore[arg-type]
        site.log.write(step)


def _walk(site: Site, began: datetime) -> None:
    """Write a release that is at 25%, with an evaluation each minute."""
    release, stable = release_id(began), TrafficSplit("7")
    first = replace(CANARY, canary_percent=5.0)

    def write(minute: float, name: str, was, now=None, reason="", **facts: Any) -> None:
        at = (began + timedelta(minutes=minute)).isoformat(timespec="milliseconds")
        site.log.write(
            Step(release, "movierec-api", NEW_MODEL, was, name, "8", now, reason, at, facts)  # type: ignore[arg-type]
        )

    policy = {"dwell_s": 600, "step_limit_s": 7_200, "horizon_s": 300}
    write(0, "start", stable, policy=policy, request={})
    write(0.3, "gate", stable)
    write(1, "cut", stable)
    write(2, "smoke", stable)
    write(3, "weigh", stable, first, "passed its smoke test")
    rng = random.Random(2)
    for minute in range(4, 95):
        split = first if minute < 48 else CANARY
        facts = {"evaluation": evaluation(release, began + timedelta(minutes=minute), minute, rng)}
        if minute == 48:
            write(minute, "weigh", first, CANARY, "not worse by more than 0.01", **facts)
        else:
            write(
                minute,
                "hold",
                split,
                None,
                f"at {split.canary_percent:g}% for {minute * 60} s",
                **facts,
            )
    site.function.force_update(CANARY, release)


def evaluation(release: str, at: datetime, minute: int, rng: random.Random) -> dict[str, Any]:
    trials = 40 * minute
    width = 1.9 / math.sqrt(max(trials - 300, 1) + 40)
    effect = 0.006 + rng.gauss(0, 0.16) / math.sqrt(trials)
    known = trials > 400
    return {
        "release_id": release,
        "at": at.isoformat(),
        "until": (at - timedelta(seconds=300)).isoformat(),
        "lake_versions": {"events": 400 + minute, "served": 300 + minute},
        "versions": {
            "7": _quality(MODEL, trials * 8, 0.114 + rng.gauss(0, 0.02) / math.sqrt(minute)),
            "8": _quality(NEW_MODEL, trials, 0.119 + rng.gauss(0, 0.04) / math.sqrt(minute)),
        },
        "overall": {},
        "trials": {"stable": trials * 8, "canary": trials},
        "hits": {"stable": int(trials * 8 * 0.114), "canary": int(trials * 0.119)},
        "mixed_windows": 3,
        "difference": effect if known else None,
        "lower": effect - width if known else None,
        "upper": effect + width if known else None,
        "verdict": "fine" if known and effect - width > -0.01 else "unclear",
        "trials_key": None,
        "trials_sha256": None,
    }


def _quality(model: str, requests: int, hit_rate: float) -> dict[str, Any]:
    return {
        "model_version": model,
        "HitRate": hit_rate,
        "WatchFraction": 0.412,
        "MeanRating": 3.71,
        "Score": 0.284,
        "Coverage": 0.331,
        "Novelty": 11.2,
        "ResponseTimeMs": 21.4,
        "Requests": requests,
    }


# Models -------------------------------------------------------------------------------------

DATASETS = {OLD_MODEL: "9b1ce07a", MODEL: "c02d5f6e", NEW_MODEL: "d7e01c35"}


def _models(site: Site) -> None:
    for i, (version, dataset_id) in enumerate(DATASETS.items()):
        _put_dataset(site, dataset_id, i)
        files = {
            "report.html": b"<!doctype html><title>Model</title>",
            "topk.npy": b"0" * 4_000_000,
        }
        sealed = sealed_folder.seal(files, _manifest(version, dataset_id, i))
        site.store.objects[artifact.key(version, "report.html")] = files["report.html"]
        site.store.objects[artifact.key(version, sealed_folder.MANIFEST_FILE)] = sealed
        verdict = {"passed": i > 0, "faults": [] if i else ["NDCG gain 0.0010, less than 0.0050"]}
        site.store.objects[f"gates/{version}.json"] = json.dumps(verdict).encode()


def _manifest(version: str, dataset_id: str, i: int) -> dict[str, Any]:
    model = {
        "ndcg": 0.1412 + i / 300,
        "recall": 0.1893 + i / 400,
        "hit_rate": 0.41,
        "coverage": 0.33,
    }
    row = {
        **model,
        "model": "blend",
        "users": 2_000,
        "fit_s": 41.0 + i,
        "fit_cpu_s": 78.0,
        "list_ms": 0.21,
    }
    return {
        "model_version": version,
        "dataset_id": dataset_id,
        "created_at": "2026-11-20T03:15:00+00:00",
        "duration_s": 92.4,
        "git": {"commit": version.split("-")[1], "dirty": False},
        "libraries": {"numpy": "2.3.1", "implicit": "0.7.3"},
        "lists_from": "blend" if i else "als",
        "lists_reason": "better beyond doubt on held-out users",
        "counts": {"users": 6_040 + 100 * i, "movies": 3_206, "interactions": 912_334},
        "parameters": {"factors": 64, "iterations": 15, "regularization": 0.05, "alpha": 20.0},
        "metrics": {
            "k": 20,
            "model": model,
            "popularity": {"ndcg": 0.09},
            "comparison": {"product": "blend", "rows": [row]},
            "production": {"model_version": list(DATASETS)[i - 1], "basis": "retrained"}
            if i
            else None,
            "differences": {
                "production": {
                    name: {"mean": 0.0031, "low": 0.0009, "high": 0.0052, "users": 2_000}
                    for name in ("ndcg", "recall")
                }
            },
        },
    }


def _put_dataset(site: Site, dataset_id: str, i: int) -> None:
    report = {
        "values": {
            "watch": {
                "rows": 812_000,
                "fields": {
                    "movie_id": {"missing": 0, "violations": 0},
                    "minute": {"missing": 12, "violations": 31, "lowest": 0, "highest": 913},
                },
            },
            "rate": {"rows": 96_400, "fields": {"rating": {"missing": 0, "violations": 4}}},
        },
        "warnings": ["31 of 812,000 rows of watch break what is declared of minute"],
        "broken": [],
        "drift": {
            "note": "",
            "attributes": {
                "ratings": _drift("same", 0.012, 0.04),
                "hours": _drift("warn", 0.143, 0.11),
                "ages": _drift("same", 0.004, None),
                "genres": {**_drift("stop", 0.31, None), "unseen": ["Anime"]},
            },
            "catalog": {
                "movies": 3_206,
                "movies_before": 3_190,
                "new_share": 0.008,
                "gone_share": 0,
            },
        },
    }
    facts = {
        "dataset_id": dataset_id,
        "code_version": "a91be44",
        "counts": {"users": 6_040 + 100 * i, "movies": 3_206, "interactions": 912_334},
        "parameters": {"holdout_share": 0.1, "since": "2026-10-01"},
        "quality": {"rows": {"by_kind": {"watch": 812_000, "rate": 96_400, "recommend": 204_111}}},
        "lake": {"versions": {"events": 4_411 + i, "movies": 3, "users": 3}},
    }
    files = {
        "report.json": json.dumps(report).encode(),
        "report.html": b"<!doctype html><title>Data</title>",
    }
    sealed = sealed_folder.seal(files, facts)
    for name, body in {**files, sealed_folder.MANIFEST_FILE: sealed}.items():
        site.store.objects[dataset.key(dataset_id, name)] = body


def _drift(level: str, psi: float, ks: float | None) -> dict[str, Any]:
    return {
        "level": level,
        "psi": psi,
        "psi_by_chance": 0.02,
        "ks": ks,
        "p_value": None if ks is None else 0.0004,
        "unseen": [],
        "unseen_share": 0.0,
    }


def _alarms() -> list[Alarm]:
    hour = NOW - timedelta(hours=1)
    ok = [
        Alarm(f"movierec-{name}", "ok", f"What {name} means.", "", hour)
        for name in ("api-errors", "api-slow", "ingest-expired", "ingest-silent", "model-age")
    ]
    return [
        *ok,
        Alarm("movierec-canary-8-silent", "no data", "The canary says nothing.", "", hour),
        Alarm(
            "movierec-ingest-lag",
            "alarm",
            "A line has waited more than 300 s to get from Kafka into the lake.",
            "Threshold Crossed: 1 datapoint [412.0] was greater than the threshold (300.0).",
            NOW - timedelta(minutes=4),
        ),
    ]
