import argparse
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence

from ingest_worker import health_server, line_settings
from ingest_worker.catalog_growth import EVERY_S, CatalogGrowth
from ingest_worker.kafka_client import GroupMember, source_from_env
from ingest_worker.kafka_source import SESSION_TIMEOUT_S
from ingest_worker.line_rules import limits_from_env
from ingest_worker.meter import Meter, publish_periodically
from ingest_worker.worker import FlushPolicy, Worker
from movierec import settings
from movierec.aws.cloudwatch_metrics import CloudWatchSink
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.delta_quarantine_lake import DeltaQuarantineLake
from movierec.aws.lake_catalog import LakeCatalog
from movierec.aws.lambda_async_invoker import LambdaAsyncInvoker
from movierec.aws.s3_store import S3Store
from movierec.runtime import entrypoint
from movierec.runtime.clock import SystemClock
from movierec.site.api_client import SiteClient
from movierec.site.unknown_ids import UnknownIds

log = logging.getLogger(__name__)

_POLL_S = 0.5
_POLL_LINES = 50_000
# The resolution of CloudWatch's standard metrics.
_METRICS_EVERY_S = 60.0
# The whole worker stops within 5 s.
_GROWTH_ENDS_WITHIN_S = 2.0


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
        growth = _grow_catalog(args.grow_every_s, env, topics, meter, stop)
        log.info("ingest_started", extra={"topics": topics})
        while not stop.is_set():
            for _, worker in pairs:
                worker.step(_POLL_S / len(pairs))
        for source, worker in pairs:
            worker.flush()
            source.close()
        growth.join(_GROWTH_ENDS_WITHIN_S)
    log.info("ingest_stopped")
    if growth.is_alive():
        # In the middle of a request or a commit, either of which may be cut off anywhere. Python
        # cannot unwind a thread that is inside Delta Lake.
        os._exit(0)


def _on_topic(
    topic: str,
    args: argparse.Namespace,
    env: Mapping[str, str],
    meter: Meter,
    stop: threading.Event,
) -> tuple[GroupMember, Worker]:
    """Return a topic's consumer, which has joined the group, and the worker on it."""
    lake, clock = DeltaLake.from_env(env), SystemClock()
    # A poll never returns more than a flush may hold.
    poll_lines = min(args.max_lines, _POLL_LINES)
    source = source_from_env(
        env, topic, poll_lines=poll_lines, session_timeout_s=args.session_timeout_s
    )
    worker = Worker(
        source,
        lake,
        clock,
        catalog=LakeCatalog(lake),
        limits=limits_from_env(env),
        policy=FlushPolicy(args.max_lines, args.max_bytes, args.max_age_s),
        site_clock=line_settings.site_clock(lake, env, topic),
        pause=stop.wait,
        meter=meter,
    )
    source.listen(worker)
    return source, worker


def _grow_catalog(
    every_s: float,
    env: Mapping[str, str],
    topics: Sequence[str],
    meter: Meter,
    stop: threading.Event,
) -> threading.Thread:
    """Start the thread that admits lines whose movies become known."""
    lake, clock = DeltaQuarantineLake.from_env(env), SystemClock()
    url = env.get(settings.SITE_URL, "")
    growth = CatalogGrowth(
        lake,
        line_settings.replay(lake, env, stopping=stop.is_set),
        clock,
        meter,
        topics=topics,
        site=SiteClient(url, clock) if url else None,
        unknown_ids=lambda: UnknownIds(S3Store.from_env(env, settings.LAKE_BUCKET), url),
        refresh=_refresh(env.get(settings.REFRESH_FUNCTION, "")),
        stopping=stop.is_set,
    )
    thread = threading.Thread(
        target=growth.run, args=(stop.wait, every_s), name="catalog-growth", daemon=True
    )
    thread.start()
    return thread


def _refresh(function: str) -> Callable[[], None]:
    """Return what asks for lists of new accounts; without a function they come on schedule."""
    if not function:
        return lambda: None
    invoker = LambdaAsyncInvoker(function)
    return lambda: invoker.invoke({})


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
    parser.add_argument("--grow-every-s", type=float, default=EVERY_S)
    parser.add_argument("--health-port", type=int, default=0, help="Of /healthz; 0: any free one.")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
