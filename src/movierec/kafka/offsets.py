"""How far a topic is written, and how much of it the lake does not have yet."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from movierec import settings
from movierec.errors import UnavailableError
from movierec.kafka.connectivity import reachable
from movierec.lake.ports import Lake
from movierec.lake.schema import EVENTS

_KAFKA_WITHIN_S: Final = 5.0

Offsets = Mapping[int, tuple[int, int]]
"""By partition: the oldest line's offset, and that of the next line to come."""


def of_topic(options: Mapping[str, Any], topic: str) -> Offsets:
    """Return a topic's offsets as they are now, none if there is no such topic.

    `options` are kafka-python's, from `settings.kafka_options`. Raises UnavailableError.
    """
    servers = options["bootstrap_servers"]
    # kafka-python would leave a thread behind that goes on trying.
    if not reachable(servers, timeout_s=_KAFKA_WITHIN_S):
        raise _unavailable(servers, "no answer")
    try:
        with closing(
            KafkaConsumer(
                **options,
                bootstrap_timeout_ms=int(_KAFKA_WITHIN_S * 1000),
                isolation_level="read_committed",  # what is not committed yet is no line yet
            )
        ) as consumer:
            numbers = consumer.partitions_for_topic(topic) or ()
            partitions = [TopicPartition(topic, number) for number in numbers]
            oldest = consumer.beginning_offsets(partitions)
            following = consumer.end_offsets(partitions)
    except KafkaError as exc:
        raise _unavailable(servers, f"{type(exc).__name__} {exc}") from exc
    return {each.partition: (oldest[each], following[each]) for each in partitions}


def missing_lines(lake: Lake, written: Mapping[str, Offsets]) -> int:
    """Return how many lines of some topics the lake does not have. Raises LakeError."""
    return sum(
        lag(of_one, {p: lake.transaction(EVENTS.name, f"{topic}-{p}") for p in of_one})
        for topic, of_one in written.items()
    )


def lag(written: Offsets, stored: Mapping[int, int | None]) -> int:
    """Return how many lines are ahead of what is stored, over all partitions.

    `stored` is the last offset in the lake. What Kafka has deleted since does not wait for anybody.
    """
    waiting = 0
    for partition, (oldest, following) in written.items():
        last = stored[partition]
        waiting += max(0, following - max(oldest, 0 if last is None else last + 1))
    return waiting


def _unavailable(servers: list[str], why: str) -> UnavailableError:
    return UnavailableError(
        f"kafka at {','.join(servers)}: {why}; check {settings.KAFKA_BOOTSTRAP} and that the "
        "brokers run (`movierec status`)"
    )
