"""Short constructors for journals on a real disk and for lake writers."""

from dataclasses import replace

from movierec.lake.served import Served
from proxy.journal import Journal, read_segment
from proxy.lake_writer import LakeWriter

RECORD = Served(1_795_169_700_000_000, "r", 42, ("a", "b"), "m1", "7", "model", 200, 12.5)


def note(journal, *names):
    """Write one record for each name, as one group."""
    for name in names:
        journal.append(replace(RECORD, recommendation_id=name))
    journal.write()


def open_journal(folder, **options):
    return Journal(folder, **({"first_sequence": 100} | options))


def sealed(journal):
    journal.seal()
    return journal.sealed


def sequences(folder):
    paths = sorted(folder.glob("*.jsonl"))
    return [sequence for path in paths for sequence, _ in read_segment(path)[0]]


def shipped(lake):
    return [row["recommendation_id"] for row in lake.rows("served")]


def writer_of(lake, **options):
    return LakeWriter(lambda: lake, **({"proxy_id": "1"} | options))
