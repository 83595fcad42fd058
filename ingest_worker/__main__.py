import argparse
import logging
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta

from ingest_worker import health_server
from ingest_worker.kafka_source import SESSION_TIMEOUT_S, KafkaSource
from ingest_worker.line_rules import limits_from_env
from ingest_worker.meter import Meter, publish_periodically
from ingest_worker.worker import FlushPolicy, Worker
from movierec import settings
from movierec.aws.cloudwatch_metrics import CloudWatchSink
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.lake_catalog import LakeCatalog
from movierec.lake import queries, site_clock
from movierec.runtime import entrypoint
from movierec.runtime.clock import SystemClock

log = logging.getLogger(__name__)

_POLL_S = 0.5
_POLL_LINES = 50_000
# An offset that was found longer ago may be of another summer time: it is found anew.
_CLOCK_KNOWN_DAYS = 7
# The resolution of CloudWatch's standard metrics.
_METRICS_EVERY_S = 60.0


def main(argv: Sequence[str]) -> int:
    """Run until SIGTERM or Ctrl-C; return the exit code."""
    args = _arguments().parse_args(argv)
    return entrypoint.run("ingest_worker", lambda: _run(args, entrypoint.stop_event()))


def _run(args: argparse.Namespace, stop: threading.Event) -> None:
    env, meter = os.environ, Meter()
    with health_server.serve(args.health_port, lambda: meter.health(SystemClock().now())):
        _publish(meter, args.metrics_every_s, stop)
        topics = args.topic or settings.topics(env)
        # One consumer and worker a topic, in one thread: the lake's commits are one after another.
        pairs = [_on_topic(topic, args, env, meter, stop) for topic in topics]
        log.info("ingest_started", extra={"topics": topics})
        while not stop.is_set():
            for _, worker in pairs:
                worker.step(_POLL_S / len(pairs))
        for source, worker in pairs:
            worker.flush()
            source.close()
    log.info("ingest_stopped")


def _on_topic(
    topic: str,
    args: argparse.Namespace,
    env: Mapping[str, str],
    meter: Meter,
    stop: threading.Event,
) -> tuple[KafkaSource, Worker]:
    """Return a topic's consumer, which has joined the group, and the worker on it."""
    lake, clock = DeltaLake.from_env(env), SystemClock()
    since = clock.now().date() - timedelta(days=_CLOCK_KNOWN_DAYS)
    known_minutes = queries.last_offset_minutes(lake, topic, since)
    # A poll never returns more than a flush may hold.
    poll_lines = min(args.max_lines, _POLL_LINES)
    source = KafkaSource(
        settings.kafka_options(env),
        topic,
        poll_lines=poll_lines,
        session_timeout_s=args.session_timeout_s,
    )
    worker = Worker(
        source,
        lake,
        clock,
        catalog=LakeCatalog(lake),
        limits=limits_from_env(env),
        policy=FlushPolicy(args.max_lines, args.max_bytes, args.max_age_s),
        site_clock=site_clock.from_env(env, known_minutes),
        pause=stop.wait,
        meter=meter,
    )
    source.listen(worker)
    return source, worker


def _publish(meter: Meter, every_s: float, stop: threading.Event) -> None:
    """Start the thread that publishes the meter's metrics; it never delays the process's exit."""
    threading.Thread(
        target=publish_periodically,
        args=(meter, CloudWatchSink(), SystemClock()),
        kwargs={"every_s": every_s, "wait": stop.wait},
        name="metrics",
        daemon=True,
    ).start()


def _arguments() -> argparse.ArgumentParser:
    policy = FlushPolicy()
    parser = argparse.ArgumentParser("ingest_worker", description="Kafka to the lake.")
    parser.add_argument(
        "--topic", action="append", help=f"Once for each; {settings.TOPIC} if none."
    )
    parser.add_argument("--max-lines", type=int, default=policy.max_lines)
    parser.add_argument("--max-bytes", type=int, default=policy.max_bytes)
    parser.add_argument("--max-age-s", type=float, default=policy.max_age_s)
    parser.add_argument("--session-timeout-s", type=float, default=SESSION_TIMEOUT_S)
    parser.add_argument("--metrics-every-s", type=float, default=_METRICS_EVERY_S)
    parser.add_argument("--health-port", type=int, default=0, help="Of /healthz; 0: any free one.")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
