"""Choose the client that the worker reads Kafka with."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from ingest_worker.kafka_source import SESSION_TIMEOUT_S, KafkaSource, RebalanceListener
from ingest_worker.ports import Source
from movierec import settings
from movierec.errors import ConfigError


class GroupMember(Source, Protocol):
    """A source that is a member of the consumer group."""

    def listen(self, owner: RebalanceListener) -> None:
        """Join the group; `owner` gets its rebalances."""
        ...

    def close(self) -> None:
        """Leave the group."""
        ...


def source_from_env(
    env: Mapping[str, str],
    topic: str,
    *,
    poll_lines: int,
    session_timeout_s: float = SESSION_TIMEOUT_S,
) -> GroupMember:
    """Return a source on a topic by the client that MOVIEREC_KAFKA_CLIENT names.

    Raises ConfigError for another name, and for a client that is not installed.
    """
    options = settings.kafka_options(env)
    chosen = env.get(settings.KAFKA_CLIENT) or "kafka-python"
    if chosen not in _CLIENTS:
        raise ConfigError(
            f"{settings.KAFKA_CLIENT} is {chosen!r}: use one of {', '.join(_CLIENTS)}"
        )
    return _CLIENTS[chosen](
        options, topic, poll_lines=poll_lines, session_timeout_s=session_timeout_s
    )


def _confluent(options: Mapping[str, Any], topic: str, **more: Any) -> GroupMember:  # noqa: ANN401
    try:
        from ingest_worker.confluent_source import ConfluentSource  # noqa: PLC0415  an extra
    except ModuleNotFoundError as exc:
        raise ConfigError(
            f"{settings.KAFKA_CLIENT} is confluent, but {exc.name} is not installed: install the "
            "`confluent` extra, or unset the variable"
        ) from exc
    return ConfluentSource(options, topic, **more)


_CLIENTS: Final[Mapping[str, Callable[..., GroupMember]]] = {
    "kafka-python": KafkaSource,
    "confluent": _confluent,
}
