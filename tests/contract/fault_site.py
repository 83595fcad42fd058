"""A site whose log has everything: good and broken lines, repeated ones, aborted transactions.

A process of its own, ended by SIGTERM: kafka-python forgets sockets to a broker that has died.

    python -m tests.contract.fault_site TOPIC SEED
"""

import json
import os
import random
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from movierec import settings
from movierec.lake.log_lines import Limits
from movierec.runtime import entrypoint
from tests.property import line_parser_specification as specification

PARTITIONS = 2
ROOT = Path(__file__).parents[2]
ACKNOWLEDGED_WITHIN_S = 15
ENDS_WITHIN_S = 90
# A connection that a broker took while it started may never be answered: the next one is.
IMPATIENT = {
    "reconnect_backoff_max_ms": 500,
    "request_timeout_ms": 4_000,
    "delivery_timeout_ms": 10_000,
    "max_block_ms": 10_000,
}
BEGIN = datetime(2026, 11, 20, 10, 15)
JUNK = (
    b"",
    b"junk",
    b"\xff\xfe",
    None,
    b"2026-11-20T10:15,7,GET /data/m/seen+2001/x.mpg",
    b"2026-11-20T10:15,0,GET /rate/seen+2001=4",
    b"2026-11-20T10:15,7,GET /rate/seen+2001=4\n2026-11-20T10:15,8,GET /rate/seen+2001=4",
    b"2026-11-20T10:15,7,recommendation request a, status 200, result: ['a', 'b'], 5 ms",
    b"1926-11-20T10:15,7,GET /rate/seen+2001=4",
    b"2206-11-20T10:15,7,GET /rate/seen+2001=4",
    b"2026-11-20T10:15,7,GET /rate/seen+2001=11",
    b"2026-11-20T10:15,1000001,GET /rate/seen+2001=4",
)


def line(chance, number):
    """Return one line, which mostly differs from all others by its user or time."""
    if chance.random() < 0.15:
        return chance.choice(JUNK)
    time = (BEGIN + timedelta(milliseconds=37 * number)).isoformat(timespec="milliseconds")
    request = chance.choice(
        (
            f"GET /data/m/film+{number % 50}+2001/{number % 90}.mpg",
            f"GET /rate/film+{number % 50}+2001={number % 5 + 1}",
            "GET /create_account",
            "recommendation request team:8082, status 200, result: a+2001, b+2002, 31 ms",
            "recommendation request team:8082, status 0, result: no answer, for now, 800 ms",
        )
    )
    end = chance.choice((b"", b"", b"\r", b"\r\n", b" "))
    return f"{time},{number % 900_000 + 1},{request}".encode() + end


class Site:
    """The process, for a block. Afterwards what it knows of its lines, by partition and offset.

    `acknowledged` has the lines that must be in the topic, and `aborted` the places of those that
    must not be. Of lines without an answer neither is known.
    """

    def __init__(self, environment, topic, seed):
        command = (sys.executable, "-m", "tests.contract.fault_site", topic, str(seed))
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        )
        self.acknowledged: dict[tuple[int, int], bytes | None] = {}
        self.aborted: set[tuple[int, int]] = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        said = self._process.communicate(timeout=ENDS_WITHIN_S)[0]
        known = json.loads(said)
        for partition, offset, text in known["acknowledged"]:
            raw = None if text is None else text.encode("latin-1")
            self.acknowledged[partition, offset] = raw
        self.aborted = {(partition, offset) for partition, offset, _text in known["aborted"]}


class Writers:
    """Two producers, of single lines and of transactions, that write until they are to stop."""

    def __init__(self, options, topic, chance, stop):
        self._options = {**options, **IMPATIENT, "acks": "all"}
        self._topic = topic
        self._chance = chance
        self._stop = stop
        self._sent: list[bytes | None] = []
        self._acknowledged: list[tuple[int, int, str | None]] = []
        self._aborted: list[tuple[int, int, str | None]] = []

    def run(self):
        """Write, and return what became of the lines."""
        threads = [
            threading.Thread(target=work) for work in (self._write_lines, self._write_transactions)
        ]
        for thread in threads:
            thread.start()
        self._stop.wait()
        for thread in threads:
            thread.join()
        return {"acknowledged": self._acknowledged, "aborted": self._aborted}

    def _write_lines(self):
        self._write(
            lambda producer: self._note(self._send(producer, 10), self._acknowledged), pause_s=0.05
        )

    def _write_transactions(self):
        self._write(
            self._write_transaction,
            pause_s=0.1,
            transactional_id=self._topic,
            transaction_timeout_ms=10_000,
        )

    def _write(self, work, *, pause_s, **options):
        """Do it again and again, with a new producer whenever one has failed.

        Also at the end: a new one of the same name aborts a transaction that is left open.
        """
        while True:
            with suppress(KafkaError):
                with self._producer(**options) as producer:
                    while not self._stop.wait(pause_s):
                        work(producer)
                return

    @contextmanager
    def _producer(self, **options):
        producer = KafkaProducer(**self._options, **options)
        try:
            if options:
                producer.init_transactions()
            yield producer
        finally:
            producer.close(timeout=ACKNOWLEDGED_WITHIN_S)

    def _write_transaction(self, producer):
        producer.begin_transaction()
        sent = self._send(producer, self._chance.randrange(1, 20))
        producer.flush(ACKNOWLEDGED_WITHIN_S)
        self._end(producer, sent)

    def _end(self, producer, sent):
        if self._chance.random() < 0.3:
            producer.abort_transaction()
            self._note(sent, self._aborted)
        else:
            producer.commit_transaction()
            self._note(sent, self._acknowledged)

    def _send(self, producer, count):
        lines = [self._line() for _ in range(count)]
        return [
            (each, producer.send(self._topic, each, key=b"key", partition=self._partition(each)))
            for each in lines
        ]

    def _line(self):
        if self._sent and self._chance.random() < 0.1:
            return self._chance.choice(self._sent[-200:])
        self._sent.append(line(self._chance, len(self._sent)))
        return self._sent[-1]

    @staticmethod
    def _partition(sent):
        return len(sent or b"") % PARTITIONS

    @staticmethod
    def _note(sent, among):
        """Note what is acknowledged, up to the first that is not: its producer ends there."""
        for each, future in sent:
            found = future.get(timeout=ACKNOWLEDGED_WITHIN_S)
            text = None if each is None else each.decode("latin-1")
            among.append((found.partition, found.offset, text))


def committed(options, topic):
    """Return the topic's lines and their times in ms, by partition and offset, in order."""
    consumer = KafkaConsumer(
        **options, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    found = {}
    while any(consumer.position(each) < ends[each] for each in partitions):
        for partition, records in consumer.poll(500).items():
            for record in records:
                found[partition.partition, record.offset] = record.value, record.timestamp
    consumer.close()
    return dict(sorted(found.items()))


def expected(lines):
    """Return the event or the reason of each line, by the parser's specification.

    `lines` are those of `committed`; a line that its partition had before is a duplicate.
    """
    before = set()
    found = {}
    for place, (raw, recorded_ms) in lines.items():
        sent = raw or b""
        event = specification.read(sent)
        if isinstance(event, dict):
            again = (place[0], sent) in before
            reason = specification.reason_to_reject(event, Limits(), None, recorded_ms * 1000)
            event = "duplicate" if again else reason or event
        before.add((place[0], sent))
        found[place] = event
    return found


def main(topic, seed):
    options = settings.kafka_options(os.environ)
    known = Writers(options, topic, random.Random(seed), entrypoint.stop_event()).run()
    json.dump(known, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
