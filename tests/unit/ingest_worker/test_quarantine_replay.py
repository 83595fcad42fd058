"""Lines of quarantine become events by today's rules, each once."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from ingest_worker.quarantine_replay import QuarantineReplay
from movierec.errors import ConflictError, UsageError
from movierec.lake.log_lines import Catalog, Limits, Reason
from movierec.lake.quarantined import WAITING, Selection
from movierec.lake.site_clock import FoundClock, ZoneClock
from movierec.testing.memory import MemoryLake

# No file of the time zone database is read in a unit test.
EASTERN: Any = timezone(timedelta(hours=-5))
FILMS = Catalog({"first+film+2001": 90, "second+film+2002": 100})
AT = np.datetime64("2026-11-20T14:10", "us")


def watch(film="second+film+2002", user=2, minute=5):
    return f"2026-11-20T10:05:01,{user},GET /data/m/{film}/{minute}.mpg".encode()


def quarantine(lake, lines, *, topic="movielog1", partition=0, reason="unknown_movie", first=0):
    n = len(lines)
    rows = {
        "quarantined_date": np.repeat(AT.astype("datetime64[D]"), n),
        "raw": lines,
        "reason": [reason] * n,
        "ingested_at": np.repeat(AT, n),
        **({"topic": [topic] * n} if topic else {}),
        "kafka_partition": np.full(n, partition),
        "kafka_offset": np.arange(first, first + n),
        "record_time": np.repeat(AT, n),
    }
    lake.append("quarantine", [rows], transactions={})


def settle(lake, *partitions, until=99):
    lake.append("events", [], transactions=dict.fromkeys(partitions or ("movielog1-0",), until))


@pytest.fixture
def lake():
    return MemoryLake()


def replay(lake, *, films=FILMS, chosen=WAITING, clock=None, limits=None, batch_lines=2, **how):
    admission = QuarantineReplay(
        lake.rival(),
        catalog=lambda: films,
        limits=limits or Limits(),
        topics=["movielog1", "movielog2"],
        site_clock=lambda _topic: clock or FoundClock(),
        batch_lines=batch_lines,
    )
    return admission.run(chosen, **how)


def offsets(lake, table):
    return sorted(row["kafka_offset"] for row in lake.rows(table))


def test_a_line_whose_movie_is_known_now_becomes_an_event(lake):
    quarantine(lake, [watch(), watch("third+film"), watch(user=3, minute=6)])
    settle(lake)
    found = replay(lake)
    assert (found.admitted, dict(found.left)) == (2, {"unknown_movie": 1})
    assert list(found.unknown_movies) == ["third+film"]
    assert found.first == {("movielog1", 0): 0}
    assert offsets(lake, "events") == [0, 2]
    assert offsets(lake, "quarantine") == [1]
    event = lake.rows("events")[0]
    assert event["movie_id"] == "second+film+2002"
    assert (event["minute"], event["topic"], event["kind"]) == (5, "movielog1", "watch")
    assert event["site_time"] == "2026-11-20T10:05:01"


def test_all_the_movies_of_a_list_have_to_be_known(lake):
    head = "2026-11-20T10:05:01,2,recommendation request srv:8082, status 200, result: "
    lines = [f"{head}{ids}, 12 ms".encode() for ids in ("first+film+2001, x", "first+film+2001")]
    quarantine(lake, lines)
    settle(lake)
    found = replay(lake)
    assert list(found.unknown_movies) == ["x"]
    assert offsets(lake, "events") == [1]


def test_lines_whose_events_are_still_to_come_are_left_alone(lake):
    quarantine(lake, [watch(), watch(user=3)])
    quarantine(lake, [watch()], partition=1)
    settle(lake, until=0)
    assert replay(lake).admitted == 1
    assert offsets(lake, "quarantine") == [0, 1]


def test_a_line_that_is_an_event_already_is_only_deleted(lake):
    """As a crash between the two commits leaves it; its date by another clock does not matter."""
    quarantine(lake, [watch()])
    settle(lake)
    lake.append(
        "events",
        [{"topic": ["movielog1"], "kafka_partition": [0], "kafka_offset": [0]}],
        transactions={},
    )
    assert replay(lake).admitted == 0
    assert offsets(lake, "events") == [0]
    assert offsets(lake, "quarantine") == []


class Overtaken(MemoryLake):
    """A lake in which another replay runs after this one has read its lines."""

    other: MemoryLake

    def rival(self):
        return self

    def offsets_in_both(self, *about):
        replay(self.other)
        return super().offsets_in_both(*about)


def test_a_replay_that_was_overtaken_is_refused():
    lake = Overtaken()
    lake.other = MemoryLake()
    lake.other._tables = lake._tables
    quarantine(lake, [watch()])
    settle(lake)
    with pytest.raises(ConflictError):
        replay(lake)
    assert offsets(lake, "events") == [0]


def test_times_follow_from_the_sites_clock_as_when_a_line_is_read_first(lake):
    quarantine(lake, [watch()])
    settle(lake)
    replay(lake, clock=ZoneClock(EASTERN))
    [event] = lake.rows("events")
    assert event["event_time"] == datetime(2026, 11, 20, 15, 5, 1, tzinfo=UTC)
    assert (event["time_basis"], event["utc_offset_minutes"]) == ("zone", -300)


def test_an_offset_that_was_found_is_taken_where_the_record_agrees(lake):
    quarantine(lake, [watch(), b"2026-11-20T03:05:01,2,GET /rate/first+film+2001=4"])
    settle(lake)
    replay(lake, clock=FoundClock(-240))
    found = {row["kafka_offset"]: row["time_basis"] for row in lake.rows("events")}
    assert found == {0: "found", 1: "assumed"}


def test_rows_of_before_are_of_the_settings_first_topic(lake):
    quarantine(lake, [watch()], topic=None)
    quarantine(lake, [watch(user=4)], topic="movielog2")
    settle(lake, "movielog1-0", "movielog2-0")
    assert replay(lake).admitted == 2
    assert sorted(row["topic"] for row in lake.rows("events")) == ["movielog1", "movielog2"]
    assert lake.rows("quarantine") == []


def test_lines_are_replayed_by_reason_after_the_rules_have_changed(lake):
    line = b"2026-11-20T10:05:01,2,GET /rate/first+film+2001=9"
    quarantine(lake, [line], reason="rating_out_of_range")
    quarantine(lake, [watch()], first=1)
    settle(lake)
    chosen = Selection.of(["rating_out_of_range"])
    same = replay(lake, chosen=chosen)
    assert dict(same.left) == {"rating_out_of_range": 1}
    wider = replay(lake, chosen=chosen, limits=Limits(max_rating=10))
    assert wider.admitted == 1
    assert offsets(lake, "quarantine") == [1]


def test_a_line_that_fails_again_keeps_its_row_and_its_first_reason(lake):
    quarantine(lake, [watch("nowhere")], reason="bad_minute")
    settle(lake)
    assert dict(replay(lake, chosen=Selection.of([])).left) == {"unknown_movie": 1}
    assert lake.rows("quarantine")[0]["reason"] == "bad_minute"


def test_a_line_that_is_too_old_now_stays(lake):
    quarantine(lake, [watch()])
    settle(lake)
    found = replay(lake, limits=Limits(earliest=date(2026, 12, 1)))
    assert dict(found.left) == {"time_out_of_range": 1}
    assert not found.unknown_movies


def test_of_equal_lines_the_first_alone_is_admitted(lake):
    """A fault of the parser hid that they are equal; unknown movies are told apart when read."""
    quarantine(lake, [watch(), watch(), watch(user=5)], reason="bad_minute")
    settle(lake)
    found = replay(lake, chosen=Selection.of(["bad_minute"]))
    assert (found.admitted, dict(found.left)) == (2, {"duplicate": 1})
    assert offsets(lake, "quarantine") == [1]


@pytest.mark.parametrize("reason", [Reason.DUPLICATE, Reason.OFFSETS_EXPIRED, "nonsense"])
def test_reasons_of_lines_that_are_never_events_are_refused(reason):
    with pytest.raises(UsageError, match=str(reason)):
        Selection.of([reason])


def test_without_reasons_all_but_those_are_chosen():
    assert {"duplicate", "offsets_expired"}.isdisjoint(Selection.of([]).reasons)
    assert len(Selection.of([]).reasons) == len(Reason) - 2


def test_a_dry_run_counts_and_changes_nothing(lake):
    quarantine(lake, [watch(user=n + 1) for n in range(5)])
    settle(lake)
    before = lake.version("events")
    assert replay(lake, dry_run=True).admitted == 5
    assert lake.version("events") == before
    assert len(lake.rows("quarantine")) == 5


def test_lines_before_an_offset_are_not_read_again(lake):
    quarantine(lake, [watch(user=n + 1) for n in range(5)])
    settle(lake, until=3)
    found = replay(lake, after={("movielog1", 0): 1})
    assert found.reached == {("movielog1", 0): 3}
    assert offsets(lake, "events") == [2, 3]


def test_without_a_catalog_nothing_waits(lake):
    quarantine(lake, [watch("anything")])
    settle(lake)
    assert replay(lake, films=None).admitted == 1
