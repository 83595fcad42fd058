import argparse
import logging
import os
import sys
import threading
from collections.abc import Mapping, Sequence

from ingest_worker.kafka_source import KafkaSource
from ingest_worker.lag_metrics import Meter, publish_periodically
from ingest_worker.worker import FlushPolicy, Worker
from movierec import settings
from movierec.aws.cloudwatch_metrics import CloudWatchSink
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.lake_catalog import LakeCatalog
from movierec.lake.log_lines import Limits
from movierec.model.rating_scale import RatingScale
from movierec.model.user_id import max_user_id
from movierec.runtime import entrypoint
from movierec.runtime.clock import SystemClock

log = logging.getLogger(__name__)

_POLL_S = 0.5
_POLL_LINES = 50_000
# The resolution of CloudWatch's standard metrics.
_METRICS_EVERY_S = 60.0


def main(argv: Sequence[str]) -> int:
    """Run until SIGTERM or Ctrl-C; return the exit code."""
    args = _arguments().parse_args(argv)
    return entrypoint.run("ingest_worker", lambda: _run(args, entrypoint.stop_event()))


def _run(args: argparse.Namespace, stop: threading.Event) -> None:
    lake = DeltaLake.from_env(os.environ)
    # A poll never returns more than a flush may hold.
    poll_lines = min(args.max_lines, _POLL_LINES)
    source = KafkaSource(settings.kafka_options(os.environ), args.topic, poll_lines=poll_lines)
    meter = Meter()
    worker = Worker(
        source,
        lake,
        SystemClock(),
        catalog=LakeCatalog(lake),
        limits=_limits(os.environ),
        policy=FlushPolicy(args.max_lines, args.max_age_s),
        pause=stop.wait,
        meter=meter,
    )
    _publish(meter, args.metrics_every_s, stop)
    source.listen(worker)
    log.info("ingest_started", extra={"topic": args.topic})
    while not stop.is_set():
        worker.step(_POLL_S)
    worker.flush()
    source.close()
    log.info("ingest_stopped")


def _publish(meter: Meter, every_s: float, stop: threading.Event) -> None:
    """Start the thread that publishes the meter's metrics; it never delays the process's exit."""
    threading.Thread(
        target=publish_periodically,
        args=(meter, CloudWatchSink(), SystemClock()),
        kwargs={"every_s": every_s, "wait": stop.wait},
        name="metrics",
        daemon=True,
    ).start()


def _limits(env: Mapping[str, str]) -> Limits:
    scale = RatingScale.from_env(env)
    return Limits(max_user_id(env), scale.lowest, scale.highest)


def _arguments() -> argparse.ArgumentParser:
    policy = FlushPolicy()
    parser = argparse.ArgumentParser("ingest_worker", description="Kafka to the lake.")
    parser.add_argument("--topic", default=os.environ.get(settings.TOPIC, settings.DEFAULT_TOPIC))
    parser.add_argument("--max-lines", type=int, default=policy.max_lines)
    parser.add_argument("--max-age-s", type=float, default=policy.max_age_s)
    parser.add_argument("--metrics-every-s", type=float, default=_METRICS_EVERY_S)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
