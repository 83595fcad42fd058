"""However a log is read and replayed, whatever fails on the way, the lake holds each line once."""

from dataclasses import dataclass, field

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from ingest_worker.batcher import Records
from ingest_worker.meter import Meter
from ingest_worker.quarantine_replay import QuarantineReplay
from ingest_worker.worker import FlushPolicy, Worker
from movierec.errors import ConflictError, UnavailableError
from movierec.lake.log_lines import Catalog, Limits
from movierec.lake.quarantined import WAITING
from movierec.lake.site_clock import FoundClock
from movierec.testing.memory import FakeClock, MemoryLake

PARTITIONS = 2
LINES = 12


def line(partition, n):
    """Return a line of the log; every third is junk."""
    text = "junk" if n % 3 == 0 else "GET /rate/gladiator+2000=4"
    return f"2022-11-14T12:23:13,{partition * LINES + n + 1},{text}".encode()


LOG = [[line(p, n) for n in range(LINES)] for p in range(PARTITIONS)]


@dataclass
class Reader:
    """A consumer that reads as much at a time as the test says, and rejoins when it gives up."""

    topic: str = "movielog1"
    positions: dict[int, int] = field(default_factory=dict)
    rejoin: set[int] = field(default_factory=set)
    lines: int = 1

    def poll(self, _timeout_s):
        found = {}
        for partition, start in self.positions.items():
            lines = LOG[partition][start : start + self.lines]
            if lines:
                found[partition] = Records(
                    np.arange(start, start + len(lines)), lines, np.zeros(len(lines), np.int64)
                )
                self.positions[partition] = start + len(lines)
        return found

    def seek(self, partition, offset):
        self.positions[partition] = offset

    def bounds(self, _partition):
        return 0, LINES

    def end(self, _partition):
        return LINES

    def position(self, partition):
        return self.positions[partition]

    def topic_id(self):
        return 1

    def commit(self, last_offsets):
        """Nothing reads the group's offsets."""

    def relinquish(self, partitions):
        self.rejoin |= set(partitions)
        for partition in partitions:
            del self.positions[partition]


@dataclass
class Member:
    """A worker with a reader and a view of the lake of its own."""

    lake: MemoryLake
    catalog: Catalog | None = None
    reader: Reader = field(default_factory=Reader)

    def __post_init__(self):
        self.worker = Worker(
            self.reader,
            self.lake,
            FakeClock(),
            catalog=lambda: self.catalog,
            limits=Limits(),
            policy=FlushPolicy(max_lines=1, max_age_s=0),
            site_clock=FoundClock(),
            pause=lambda _s: False,
            meter=Meter(),
        )
        self.worker.assigned(range(PARTITIONS))

    def step(self, lines):
        self.reader.lines = lines
        self.worker.step(0)
        rejoin, self.reader.rejoin = self.reader.rejoin, set()
        self.worker.assigned(rejoin)


STEP = st.tuples(
    st.integers(0, 1),  # which of two members, both sure that they own everything
    st.integers(1, 5),  # lines a poll
    st.integers(0, 2),  # appends that fail
    st.integers(0, 2),  # appends whose answer is lost
    st.booleans(),  # whether the member is killed and started anew first
    st.booleans(),  # whether the catalog knows the movie from now on
)


@given(st.lists(STEP, max_size=25))
def test_each_line_is_in_one_table_once(steps):
    lake = MemoryLake()
    members = [Member(lake.rival()), Member(lake.rival())]
    for who, lines, failing, lost, killed, known in steps:
        catalog = None if known else Catalog({})
        if killed:
            members[who] = Member(lake.rival(), catalog)
        members[who].catalog = catalog
        members[who].lake.fail_appends = failing
        members[who].lake.lose_answers = lost
        members[who].step(lines)
    last = Member(lake.rival())
    for _ in range(LINES):
        last.step(LINES)
    everything = [(p, n) for p in range(PARTITIONS) for n in range(LINES)]
    junk = {(p, n) for p, n in everything if n % 3 == 0}
    assert sorted(_places(lake, "quarantine") + _places(lake, "events")) == everything
    assert junk <= set(_places(lake, "quarantine"))


KNOWN = Catalog({"gladiator+2000": 155})


class Overtaken(MemoryLake):
    """A lake in which others write after this writer has read the lines that wait."""

    meanwhile = None

    def offsets_in_both(self, chosen, topics, partition):
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        return super().offsets_in_both(chosen, topics, partition)


def replay(lake, *, known=True, failing=0, lost=0, meanwhile=None):
    """Replay what waits, as a process that ends with the first failure."""
    mine = lake.rival()
    mine.fail_appends, mine.lose_answers, mine.meanwhile = failing, lost, meanwhile
    admission = QuarantineReplay(
        mine,
        catalog=lambda: KNOWN if known else Catalog({}),
        limits=Limits(),
        topics=["movielog1"],
        site_clock=lambda _topic: FoundClock(),
        batch_lines=3,
    )
    try:
        admission.run(WAITING)
    except (ConflictError, UnavailableError):
        return


REPLAY = st.tuples(
    st.booleans(),  # whether its catalog knows the movie
    st.integers(0, 2),  # commits that fail
    st.integers(0, 2),  # commits whose answer is lost
    st.sampled_from(["", "replay", "flush"]),  # what another does meanwhile
)


CRASH_BETWEEN_COMMITS, RESTART = (0, 5, 0, 1, False, False), (0, 5, 0, 0, True, True)
FLUSH = (0, 5, 0, 0, False, False)


@given(st.lists(st.one_of(STEP, REPLAY), max_size=25))
@example([FLUSH, CRASH_BETWEEN_COMMITS, (True, 0, 0, ""), RESTART])
@example([FLUSH, FLUSH, (True, 0, 0, "replay")])
@example([FLUSH, FLUSH, (True, 0, 1, ""), (True, 0, 0, "")])
def test_each_line_is_in_one_table_once_though_lines_are_replayed(steps):
    lake = Overtaken()
    members = [Member(lake.rival(), Catalog({})), Member(lake.rival(), KNOWN)]
    for step in steps:
        if len(step) == 4:
            known, failing, lost, other = step
            act = {
                "replay": lambda: replay(lake),
                "flush": lambda: members[0].step(2),
                "": None,
            }[other]
            replay(lake, known=known, failing=failing, lost=lost, meanwhile=act)
            continue
        who, lines, failing, lost, killed, known = step
        catalog = KNOWN if known else Catalog({})
        if killed:
            members[who] = Member(lake.rival(), catalog)
        members[who].catalog = catalog
        members[who].lake.fail_appends = failing
        members[who].lake.lose_answers = lost
        members[who].step(lines)
    last = Member(lake.rival(), Catalog({}))
    for _ in range(LINES):
        last.step(LINES)
    replay(lake)
    everything = [(p, n) for p in range(PARTITIONS) for n in range(LINES)]
    junk = [(p, n) for p, n in everything if n % 3 == 0]
    assert sorted(_places(lake, "quarantine")) == junk
    assert sorted(_places(lake, "events")) == sorted(set(everything) - set(junk))


def _places(lake, table):
    return [(row["kafka_partition"], row["kafka_offset"]) for row in lake.rows(table)]
