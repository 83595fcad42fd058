import io
from contextlib import contextmanager
from pathlib import Path

import pytest

from ingest_worker import dump_lines, load
from ingest_worker.file_source import FileSource, topic_of
from ingest_worker.meter import Meter
from ingest_worker.worker import FlushPolicy, Worker
from movierec.errors import ConfigError
from movierec.lake.log_lines import Limits
from movierec.lake.site_clock import FoundClock
from movierec.testing.memory import FakeClock, MemoryLake

TOPIC = "file-dump.log"
LINES = [
    "junk" if n % 10 == 0 else f"2026-09-14T10:20:{n:02},{n + 1},GET /rate/glass+1987=4"
    for n in range(60)
]


class KilledError(BaseException):
    pass


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(dump_lines, "_BATCH_BYTES", 200)


def source_of(lines, *, identity=7, end="\n"):
    data = "".join(line + end for line in lines).encode()

    @contextmanager
    def opened():
        yield dump_lines.of(io.BytesIO(data), "dump.log", len(data))

    return FileSource(TOPIC, identity, opened)


def worker_on(source, lake, waits=None):
    return Worker(
        source,
        lake,
        FakeClock(),
        catalog=lambda: None,
        limits=Limits(),
        policy=FlushPolicy(max_lines=1),
        site_clock=FoundClock(),
        pause=load.Patience((waits if waits is not None else []).append),
        meter=Meter(),
    )


def loaded(lake, lines=LINES, *, kill_after=10_000, **form):
    """Load the lines; raise KilledError after some steps."""
    source = source_of(lines, **form)
    load.refuse_other(lake, source, {})
    steps = iter(range(kill_after))

    def go_on():
        if next(steps, None) is None:
            raise KilledError

    load.load(worker_on(source, lake), source, go_on)


def assert_each_line_once(lake):
    rows = [*lake.rows("events"), *lake.rows("quarantine")]
    assert sorted(row["kafka_offset"] for row in rows) == list(range(len(LINES)))
    assert {row["topic"] for row in rows} == {TOPIC}
    assert load.stored(lake, TOPIC) == len(LINES)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_is_a_row_and_its_number_the_offset(end):
    lake = MemoryLake()
    loaded(lake, end=end)
    assert_each_line_once(lake)
    [row] = [row for row in lake.rows("events") if row["kafka_offset"] == 17]
    assert (row["user_id"], row["time_basis"]) == (18, "assumed")


@pytest.mark.parametrize("kill_after", [0, 1, 2, 5, 9])
def test_a_load_that_is_killed_goes_on_and_one_that_is_repeated_adds_nothing(kill_after):
    lake = MemoryLake()
    with pytest.raises(KilledError):
        loaded(lake, kill_after=kill_after)
    for _ in range(2):
        loaded(lake.rival())
        assert_each_line_once(lake)


@pytest.mark.parametrize("trouble", [{"fail_appends": 2}, {"lose_answers": 3}])
def test_a_lake_that_fails_for_a_while_gets_each_line_once(trouble):
    lake = MemoryLake()
    loaded(lake, LINES[:0])
    for name, value in trouble.items():
        setattr(lake, name, value)
    loaded(lake)
    assert_each_line_once(lake)


def test_patience_with_a_lake_that_is_down_ends():
    lake, waits = MemoryLake(fail_appends=10_000), list[float]()
    source = source_of(LINES)
    worker = worker_on(source, lake, waits)
    worker.assigned([0])
    assert 60 < sum(waits) <= 120


def test_another_file_under_the_same_name_is_refused():
    lake = MemoryLake()
    loaded(lake)
    with pytest.raises(ConfigError, match="another file, or of this one before it changed"):
        loaded(lake.rival(), identity=8)


def test_a_topic_of_kafkas_is_refused():
    lake = MemoryLake()
    lake.append("events", [], transactions={f"{TOPIC}-0": 41})
    with pytest.raises(ConfigError, match="came from Kafka"):
        loaded(lake.rival())
    source = source_of(LINES)
    with pytest.raises(ConfigError, match="the site's topic in Kafka"):
        load.refuse_other(MemoryLake(), source, {"MOVIEREC_TOPIC": TOPIC})


def test_the_records_times_show_the_clock():
    lake = MemoryLake()
    # 10:20 at UTC-4 is 14:20.
    start_ms = 1_789_395_600_000
    lines = [
        f"CreateTime:{start_ms + n * 1000}\t2026-09-14T10:20:{n:02},{n + 1},GET /create_account"
        for n in range(60)
    ]
    loaded(lake, lines)
    assert {row["time_basis"] for row in lake.rows("events")} == {"assumed", "found"}
    assert {row["utc_offset_minutes"] for row in lake.rows("events")} == {0, -240}


@pytest.mark.parametrize(
    ("name", "topic"),
    [("movielog1.log.gz", "file-movielog1.log"), ("my dump (2).txt", "file-my-dump-2-.txt")],
)
def test_a_files_topic_is_named_after_it(name, topic):
    assert topic_of(Path(name)) == topic
