"""The whole loop at the demo's full size: each figure beside its limit in the same run.

Ingest's limit is a consumer that discards the topic's lines: no ingest with that client can be
faster. The proxy's is the API asked directly at the site's rate: the proxy can only add to that.

    python -m bench.loop
"""

import http.client
import os
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from kafka import KafkaConsumer, TopicPartition

from bench.benchmark_report import Row, publish
from bench.running_stack import Stack, playing
from movierec import settings
from movierec.stack import run_environment
from movierec.stack.processes.client import Client

# Warm; from a fresh clone it may take 360 s, downloads included.
TOTAL_GOAL_S = 180.0
P99_GOAL_MS = 400.0
EVENTS_GOAL = 1_000_000
DIRECT_CALLS = 400
RATE_PER_S = 20.0


def main() -> int:
    """Measure, print, write build/bench/loop.json."""
    with playing() as stack:
        # Its live traffic would compete for the cores with what is measured now.
        Client(stack.run).stop("live")
        variables = run_environment.load(stack.run)
        rows = _rows(stack, variables)
    publish("loop", rows, phases_s=stack.summary["phases_s"], peaks=stack.summary["peak_rss_mb"])
    return 0 if all(row.ok is not False for row in rows) else 1


def _rows(stack: Stack, variables: Mapping[str, str]) -> list[Row]:
    summary = stack.summary
    lines = summary["events"]["lake"]["total"] + summary["quarantined"]["total"]
    latency = summary["latency_ms"]
    direct = _direct_ms(variables[settings.API_URL])
    return [
        Row("demo, warm", summary["total_s"], "s", goal=TOTAL_GOAL_S),
        Row(
            "events in the lake",
            summary["events"]["lake"]["total"],
            "",
            better="higher",
            goal=EVENTS_GOAL,
        ),
        Row("accounts that disagree", len(summary["problems"]), "", goal=0),
        Row("availability", 100 * summary["availability"], "%", better="higher", goal=100.0),
        _latency("proxy, median at 20/s", latency["p50"], direct, 50),
        _latency("proxy, p99 at 20/s", latency["p99"], direct, 99, P99_GOAL_MS),
        Row(
            "ingest, from the worker's start to the last line",
            lines / summary["phases_s"]["ingest"],
            "lines/s",
            better="higher",
            rival="a consumer that does nothing",
            rival_value=_consumed_per_s(variables),
        ),
        *_models(summary),
    ]


def _models(summary: Mapping[str, Any]) -> list[Row]:
    metrics = summary["models"][0]["metrics"]
    return [
        Row(
            f"{name} of the first model",
            metrics[name],
            "",
            better="higher",
            goal=metrics[f"popularity_{name}"],
            rival="popularity",
            rival_value=metrics[f"popularity_{name}"],
        )
        for name in ("ndcg", "recall")
    ]


def _latency(
    name: str,
    value_ms: float,
    direct: np.ndarray[tuple[int], np.dtype[np.float64]],
    percent: float,
    goal_ms: float | None = None,
) -> Row:
    rival_ms = float(np.percentile(direct, percent))
    return Row(
        name, value_ms, "ms", goal=goal_ms, rival="API, asked directly", rival_value=rival_ms
    )


def _direct_ms(url: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Ask the API directly at the site's rate; return latencies in milliseconds, shape (n,)."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    found = []
    due_s = time.perf_counter()
    for user_id in range(1, DIRECT_CALLS + 1):
        due_s += 1 / RATE_PER_S
        time.sleep(max(0.0, due_s - time.perf_counter()))
        begin_s = time.perf_counter()
        connection.request("GET", f"{parts.path}/recommend/{user_id}")
        connection.getresponse().read()
        found.append((time.perf_counter() - begin_s) * 1000)
    return np.array(found)


def _consumed_per_s(variables: Mapping[str, str]) -> float:
    """Consume the whole topic, discarding its lines."""
    options = settings.kafka_options({**os.environ, **variables})
    consumer = KafkaConsumer(
        auto_offset_reset="earliest", max_partition_fetch_bytes=8 << 20, **options
    )
    topic = variables[settings.TOPIC]
    partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    wanted = sum(consumer.end_offsets(partitions).values())
    begin_s, found = time.perf_counter(), 0
    while found < wanted:
        polled = consumer.poll(timeout_ms=1000, max_records=50_000)
        found += sum(map(len, polled.values()))
    took_s = time.perf_counter() - begin_s
    consumer.close()
    return found / took_s


if __name__ == "__main__":
    raise SystemExit(main())
