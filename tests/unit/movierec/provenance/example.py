"""One recommendation with all its links, for the tests of provenance."""

from datetime import UTC, datetime, timedelta
from typing import Any

from movierec.lake.served import Served, microseconds
from movierec.model import sealed_folder
from movierec.provenance.lineage import Function, Lineage

AT = datetime(2026, 11, 20, 10, 15, 0, 250_000, tzinfo=UTC)
MOVIES = ("a+1999", "b+2000")
MODEL = "20261120T101500Z-abc-def"

SERVED = Served(microseconds(AT), "id-1", 7, MOVIES, MODEL, "12", "model", 200, 8.25)
FUNCTION = Function("movierec-api", "12", "abc123", "c0de", MODEL, "2026-11-20", "R1 m first")
SUM = sealed_folder.checksum(b"bytes")
MODEL_MANIFEST: dict[str, Any] = {
    "model_version": MODEL,
    "created_at": "2026-11-20T10:00:00+00:00",
    "duration_s": 12.3,
    "git": {"commit": "abc123", "dirty": True},
    "python": "3.13.0",
    "libraries": {"numpy": "2.3"},
    "parameters": {"factors": 64},
    "metrics": {"k": 20, "model": {"ndcg": 0.123456, "by_group": {}}, "popularity": {"ndcg": 0.1}},
    "dataset_id": "d1",
    "files": {"topk.npy": SUM},
}
DATASET_MANIFEST: dict[str, Any] = {
    "dataset_id": "d1",
    "code_version": "abc123",
    "parameters": {"since": ""},
    "counts": {"users": 3},
    "quality": {"rows": {"by_kind": {"watch": 90, "rate": 10}}},
    "lake": {
        "versions": {"events": 41},
        "offsets": {"0": {"first": 0, "last": 99, "rows": 100}},
        "event_time_us": {"first": 1_790_000_000_000_000, "last": 1_790_000_001_000_000},
    },
    "files": {"indptr.npy": SUM},
}


def event(seconds: float = 0, movies: tuple[str, ...] = MOVIES) -> dict[str, Any]:
    return {
        "kind": "recommend",
        "event_time": AT + timedelta(seconds=seconds),
        "user_id": 7,
        "status": 200,
        "movie_ids": list(movies),
        "error": None,
        "latency_ms": 12,
        "server": "host:8082",
        "kafka_partition": 0,
        "kafka_offset": 4711,
    }


STEP = {
    "name": "weigh",
    "at": "2026-11-20T09:00:00",
    "after": {"stable": "11", "canary": "12", "canary_percent": 25.0},
    "reason": "fine so far",
}
CHAIN = Lineage(SERVED, event(), FUNCTION, (STEP,), MODEL_MANIFEST, DATASET_MANIFEST)
