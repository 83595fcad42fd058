"""However records are split into groups, segments and commits, and wherever a crash falls: once.

A model of the proxy's life: it serves, ships to a lake that may fail before or after its commit,
and dies while it writes, ships or removes files. In the end every record whose group was written
is in the lake exactly once, in order; one that a crash cut is there at most once.
"""

import itertools
import json
import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from movierec.errors import MovierecError
from movierec.lake.served import Served
from movierec.testing.memory import MemoryLake
from proxy.journal import Journal
from proxy.lake_writer import LakeWriter

RECORD = Served(1_795_169_700_000_000, "r", 42, ("a",), "m1", "7", "model", 200, 1.0)


def detail_of(name):
    """Return the detail of a record: none for every third."""
    number = int(name[1:])
    return None if number % 3 == 0 else json.dumps({"v": 1, "name": name, "text": "x" * number})


class Killed(BaseException):
    """The process ends here."""


class ProxyLife(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.lake = MemoryLake()
        self.names = (f"r{i}" for i in itertools.count())
        self.written = []
        self.maybe = set()

    @initialize(segment_bytes=st.sampled_from([1, 600, 10_000]), batch=st.integers(1, 6))
    def begin(self, segment_bytes, batch):
        self.segment_bytes = segment_bytes
        self.batch = batch
        self.start()

    def start(self):
        self.journal = Journal(self.folder, first_sequence=1, segment_bytes=self.segment_bytes)
        self.lake = self.lake.rival()
        self.removals_left = None
        self.writer = LakeWriter(
            lambda: self.lake, proxy_id="1", remove=self.remove, batch_records=self.batch
        )

    def remove(self, path):
        if self.removals_left is not None:
            if self.removals_left == 0:
                raise Killed
            self.removals_left -= 1
        path.unlink()

    def note(self, records):
        names = list(itertools.islice(self.names, records))
        for name in names:
            self.journal.append(replace(RECORD, recommendation_id=name, detail=detail_of(name)))
        self.journal.write()
        return names

    @rule(records=st.integers(1, 4))
    def serve(self, records):
        self.written += self.note(records)

    @rule()
    def seal(self):
        self.journal.seal()

    @rule(fails=st.integers(0, 1), loses=st.integers(0, 1), unread=st.integers(0, 1))
    def ship(self, fails, loses, unread):
        self.lake.fail_appends = fails
        self.lake.lose_answers = loses
        self.lake.fail_reads = unread
        self.journal.seal()
        if self.journal.sealed:
            with suppress(MovierecError):
                self.journal.forget(self.writer.ship(self.journal.sealed).segments)
        self.lake.fail_appends = self.lake.lose_answers = self.lake.fail_reads = 0

    @rule(removals=st.integers(0, 2), loses=st.booleans())
    def die_while_shipping(self, removals, loses):
        self.lake.lose_answers = int(loses)
        self.removals_left = removals
        self.journal.seal()
        with suppress(Killed, MovierecError):
            while self.journal.sealed:
                self.journal.forget(self.writer.ship(self.journal.sealed).segments)
        self.lake.lose_answers = 0
        self.die()

    @rule(records=st.integers(1, 3), cut=st.integers(1, 500))
    def die_while_writing(self, records, cut):
        before = {path: path.stat().st_size for path in self.folder.iterdir()}
        self.maybe |= set(self.note(records))
        self.journal.close()
        path = max(path for path in self.folder.iterdir() if path.stat().st_size)
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.truncate(max(before.get(path, 0), size - cut))
        self.start()

    @rule()
    def die(self):
        self.journal.close()
        self.start()

    @invariant()
    def nothing_is_in_the_lake_twice(self):
        ids = [row["recommendation_id"] for row in self.lake.rows("served")]
        assert len(ids) == len(set(ids))

    @invariant()
    def every_row_has_its_own_detail(self):
        for row in self.lake.rows("served"):
            assert row["detail"] == detail_of(row["recommendation_id"])

    def teardown(self):
        if hasattr(self, "journal"):
            self.journal.seal()
            while self.journal.sealed:
                self.journal.forget(self.writer.ship(self.journal.sealed).segments)
                self.journal.seal()
            self.journal.close()
            ids = [row["recommendation_id"] for row in self.lake.rows("served")]
            assert [name for name in ids if name not in self.maybe] == self.written
            assert len(ids) == len(set(ids))
            assert self.journal.dropped == 0
        shutil.rmtree(self.folder)


TestProxyLife = ProxyLife.TestCase
