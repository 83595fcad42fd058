"""Write distinct lines to a topic without a pause, and print which are acknowledged.

A process of its own, ended by SIGTERM: kafka-python forgets sockets to a broker that has died.

    python -m tests.e2e.site_writer TOPIC FIRST_NUMBER

prints `<partition> <offset>` for each line that the broker has acknowledged.
"""

import itertools
import os
import sys
import time

from kafka import KafkaProducer
from kafka.errors import KafkaError

from movierec import settings
from movierec.runtime import entrypoint

LINES_AT_ONCE = 50
WITHIN_S = 120


def main(topic: str, first: int) -> None:
    stop = entrypoint.stop_event()
    producer = KafkaProducer(**settings.kafka_options(os.environ), acks="all")
    numbers = itertools.count(first)
    while not stop.is_set():
        begin_s = time.monotonic()
        sent = []
        for number in itertools.islice(numbers, LINES_AT_ONCE):
            line = f"2022-11-14T12:23:13,{number % 1000 + 1},GET /rate/film+{number}=4"
            sent.append(producer.send(topic, line.encode(), partition=number % 2))
        for future in sent:
            try:
                written = future.get(timeout=WITHIN_S)
            except KafkaError:  # it may be there or not: no acknowledgement arrived
                continue
            sys.stdout.write(f"{written.partition} {written.offset}\n")
            sys.stdout.flush()
        stop.wait(max(0.0, begin_s + 0.02 - time.monotonic()))
    producer.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
