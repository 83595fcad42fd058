"""Read a range of a topic in Kafka again, outside of the consumer group."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kafka import TopicPartition

from ingest_worker.batcher import Records
from ingest_worker.kafka_source import kafka_errors
from ingest_worker.record_batches import ColumnConsumer
from movierec.errors import ConfigError, UnavailableError, UsageError
from movierec.kafka.connectivity import reachable

_CONNECTED_WITHIN_S: Final = 5.0
_BOOTSTRAP_TIMEOUT_MS: Final = 10_000
_POLL_S: Final = 1.0
# So many polls without a record or a step are a broker that does not answer.
_EMPTY_POLLS: Final = 30


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of a range: an offset of every partition, or a time; neither is no bound."""

    offset: int | None = None
    time_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets of a partition from `begin` up to, and without, `end`; `oldest` is Kafka's first."""

    begin: int
    end: int
    oldest: int


class KafkaRange:
    """A consumer of one topic that belongs to no group and commits nothing."""

    def __init__(self, options: Mapping[str, Any], topic: str) -> None:
        servers = options["bootstrap_servers"]
        if not reachable(servers, timeout_s=_CONNECTED_WITHIN_S):
            raise UnavailableError(
                f"kafka {','.join(servers)} does not answer; {UnavailableError.next_step}"
            )
        self._topic = topic
        self._options = options
        with kafka_errors(options, topic, "asked for"):
            self._consumer = ColumnConsumer(
                poll_lines=_POLL_LINES,
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_committed",
                bootstrap_timeout_ms=_BOOTSTRAP_TIMEOUT_MS,
                **options,
            )

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close()

    def spans(self, chosen: Collection[int], first: Bound, until: Bound) -> dict[int, Span]:
        """Return the range of each partition, or of the chosen ones.

        Raises ConfigError without such a topic or partition; UsageError when `first` is an offset
        that Kafka has deleted.
        """
        with kafka_errors(self._options, self._topic, "asked for its offsets"):
            there: set[int] = self._consumer.partitions_for_topic(self._topic) or set()
            if not there or not there.issuperset(chosen):
                named = f"its partitions {sorted(there)} alone" if there else "no such topic"
                raise ConfigError(f"topic {self._topic}: Kafka has {named}")
            places = [TopicPartition(self._topic, p) for p in sorted(chosen or there)]
            oldest = self._consumer.beginning_offsets(places)
            newest = self._consumer.end_offsets(places)
            begins = self._offsets(first, places, oldest, newest)
            ends = self._offsets(until, places, newest, newest)
        for place in places:
            if first.offset is not None and first.offset < oldest[place] < newest[place]:
                raise UsageError(
                    f"{self._topic}-{place.partition} begins at offset {oldest[place]}: "
                    "Kafka has deleted what came before"
                )
        return {
            place.partition: Span(
                min(max(begins[place], oldest[place]), newest[place]),
                min(ends[place], newest[place]),
                oldest[place],
            )
            for place in places
        }

    def _offsets(
        self,
        bound: Bound,
        places: list[TopicPartition],
        unbound: Mapping[TopicPartition, int],
        newest: Mapping[TopicPartition, int],
    ) -> Mapping[TopicPartition, int]:
        if bound.offset is not None:
            return dict.fromkeys(places, bound.offset)
        if bound.time_ms is None:
            return unbound
        found = self._consumer.offsets_for_times(dict.fromkeys(places, bound.time_ms))
        # No record is as late: all are before it.
        return {p: found[p].offset if found.get(p) else newest[p] for p in places}

    def read(self, partition: int, begin: int, end: int) -> Iterator[Records]:
        """Yield the records of a partition from `begin` up to, and without, `end`."""
        place = TopicPartition(self._topic, partition)
        self._consumer.assign([place])
        self._consumer.seek(place, begin)
        position, empty = begin, 0
        while position < end:
            with kafka_errors(self._options, self._topic, "read"):
                polled = self._consumer.poll_columns(_POLL_S)
                moved = self._consumer.position(place)
            empty = 0 if moved > position else empty + 1
            position = moved
            if empty > _EMPTY_POLLS:
                raise UnavailableError(
                    f"{self._topic}-{partition}: Kafka sends nothing past offset {position}; "
                    f"{UnavailableError.next_step}"
                )
            for found in polled.values():
                records = found.until(end - 1)
                if len(records.offsets):
                    yield records


_POLL_LINES: Final = 200_000
