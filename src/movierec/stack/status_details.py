"""What the parts of a run say of themselves: rows, lag, models, who gets which."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from movierec import settings
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.release_factory import open_releases
from movierec.aws.s3_store import S3Store
from movierec.errors import MovierecError, ObjectNotFoundError, UnavailableError
from movierec.lake.schema import EVENTS, QUARANTINE
from movierec.model import artifact

_KAFKA_WITHIN_MS: Final = 5_000

Variables = Mapping[str, str]


def collect(variables: Variables) -> dict[str, Any]:
    """Return all details, JSON each; what cannot be found out is said in its place."""
    asked: dict[str, Callable[[Variables], Any]] = {
        "events": events,
        "quarantined": quarantined,
        "ingest_lag_lines": ingest_lag_lines,
        "newest_model": newest_model,
        "routing": split,
        "releases_under_way": releases_under_way,
    }
    return {name: _said(ask, variables) for name, ask in asked.items()}


def events(variables: Variables) -> dict[str, int]:
    """Return the rows of the lake's events, in sum and by kind."""
    counts = DeltaLake.from_env(variables).count(EVENTS.name, by="kind")
    return {"total": sum(counts.values()), **dict(sorted(counts.items()))}


def quarantined(variables: Variables) -> int:
    """Return how many lines are in quarantine."""
    return DeltaLake.from_env(variables).count(QUARANTINE.name).get("", 0)


def ingest_lag_lines(variables: Variables) -> int:
    """Return how many lines of the topic have not reached the lake."""
    topic = settings.require(variables, settings.TOPIC)
    lake = DeltaLake.from_env(variables)
    offsets = _offsets(settings.kafka_options(variables), topic)
    return lag(offsets, {p: lake.transaction(EVENTS.name, f"{topic}-{p}") for p in offsets})


def lag(offsets: Mapping[int, tuple[int, int]], stored: Mapping[int, int | None]) -> int:
    """Return how many lines are ahead of what is stored, over all partitions.

    `offsets` are the oldest line's and that of the next to come; `stored` is the last offset in
    the lake. What Kafka has deleted since does not wait for anybody.
    """
    waiting = 0
    for partition, (oldest, following) in offsets.items():
        last = stored[partition]
        waiting += max(0, following - max(oldest, 0 if last is None else last + 1))
    return waiting


def newest_model(variables: Variables) -> str | None:
    """Return the newest complete model's version, None if there is none."""
    try:
        return artifact.newest(S3Store.from_env(variables, settings.ARTIFACTS_BUCKET))
    except ObjectNotFoundError:
        return None


def split(variables: Variables) -> dict[str, Any] | None:
    """Return who gets which version, and each version's model; None before the first release."""
    releases = open_releases(variables)
    found = releases.split()
    return None if found is None else {**asdict(found), "models": releases.models(found)}


def releases_under_way(variables: Variables) -> list[str]:
    """Return the releases that have not ended, oldest first."""
    return list(open_releases(variables).log.open_releases())


def _offsets(options: Mapping[str, Any], topic: str) -> dict[int, tuple[int, int]]:
    """Return each partition's oldest offset, and the next one. Raises UnavailableError."""
    try:
        consumer = KafkaConsumer(**options, bootstrap_timeout_ms=_KAFKA_WITHIN_MS)
        try:
            numbers = consumer.partitions_for_topic(topic) or ()
            partitions = [TopicPartition(topic, number) for number in numbers]
            oldest, following = (
                consumer.beginning_offsets(partitions),
                consumer.end_offsets(partitions),
            )
        finally:
            consumer.close()
    except KafkaError as exc:
        servers = ",".join(options["bootstrap_servers"])
        raise UnavailableError(f"kafka at {servers}: {exc}") from exc
    return {each.partition: (oldest[each], following[each]) for each in partitions}


def _said(ask: Callable[[Variables], Any], variables: Variables) -> Any:  # noqa: ANN401  any JSON
    try:
        return ask(variables)
    except MovierecError as exc:
        return f"unknown: {exc}"
