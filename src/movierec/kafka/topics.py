"""Create topics that do not exist yet, and tell one from another of the same name."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, Final
from uuid import UUID

from kafka import KafkaAdminClient
from kafka.errors import (
    InvalidReplicationFactorError,
    InvalidTopicError,
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    for_code,
)

from movierec import settings
from movierec.errors import UnavailableError, UsageError
from movierec.kafka.connectivity import reachable

# The cluster's default replication factor.
_BROKERS_DEFAULT: Final = -1

_CONNECTED_WITHIN_S: Final = 5.0
_BOOTSTRAP_TIMEOUT_MS: Final = 10_000


def ensure(options: Mapping[str, Any], topic: str, partitions: int) -> int:
    """Create a topic unless it exists, and return the number of partitions that it has.

    `options` are kafka-python's, from `settings.kafka_options`. An existing topic keeps its
    partitions: adding some would move users to other partitions. Raises UsageError on an invalid
    name or number, UnavailableError when the brokers do not answer.
    """
    if partitions < 1:
        raise UsageError(f"{partitions} partitions for topic {topic}: use 1 or more")
    with _admin(options, topic) as admin:
        return _ensure(admin, topic, partitions)


def topic_id(options: Mapping[str, Any], topic: str) -> int | None:
    """Return a number that no other topic has, one of the same name included; None if unknown.

    Of the UUID that brokers give to each topic since Kafka 2.8 (KIP-516), the 63 bits that fit a
    Delta transaction. Raises UnavailableError.
    """
    with _admin(options, topic) as admin:
        [found] = admin.describe_topics([topic])
    return UUID(found["topic_id"]).int & _63_BITS or None if found.get("topic_id") else None


_63_BITS: Final = (1 << 63) - 1


@contextmanager
def _admin(options: Mapping[str, Any], topic: str) -> Iterator[KafkaAdminClient]:
    servers = options["bootstrap_servers"]
    # Without a broker, kafka-python would leave a thread behind that keeps retrying.
    if not reachable(servers, timeout_s=_CONNECTED_WITHIN_S):
        raise _unavailable(topic, servers, "no broker answers")
    try:
        client = KafkaAdminClient(bootstrap_timeout_ms=_BOOTSTRAP_TIMEOUT_MS, **options)
        with closing(client) as admin:
            yield admin
    except KafkaError as exc:
        raise _unavailable(topic, servers, f"{type(exc).__name__} {exc}") from exc


def _ensure(admin: KafkaAdminClient, topic: str, partitions: int) -> int:
    # Checked first: a client that may write to a topic need not be allowed to create one.
    if not _partitions(admin, topic):
        _create(admin, topic, partitions)
    # Also for an existing topic: after a restart its leaders are still being elected.
    admin.wait_for_topics([topic])
    return _partitions(admin, topic)


def _partitions(admin: KafkaAdminClient, topic: str) -> int:
    [found] = admin.describe_topics([topic])
    return len(found["partitions"])


def _create(admin: KafkaAdminClient, topic: str, partitions: int) -> None:
    wanted = {"num_partitions": partitions, "replication_factor": _BROKERS_DEFAULT}
    [answer] = admin.create_topics({topic: wanted}, raise_errors=False)["topics"]
    code = answer["error_code"]
    if code in (InvalidTopicError.errno, InvalidReplicationFactorError.errno):
        raise UsageError(f"topic {topic}: {answer['error_message']}")
    if code not in (NoError.errno, TopicAlreadyExistsError.errno):
        raise for_code(code)(answer["error_message"])


def _unavailable(topic: str, servers: list[str], why: str) -> UnavailableError:
    return UnavailableError(
        f"topic {topic}: {why} at {','.join(servers)}; "
        f"check {settings.KAFKA_BOOTSTRAP} and that the brokers run (`movierec status`)"
    )
