"""What every Lake promises: held to the fake, to Delta in a folder and to Delta on S3 alike."""

from datetime import UTC, datetime

import numpy as np
import pytest
from deltalake.exceptions import DeltaError

from movierec.aws.delta_lake import DeltaLake, delta_errors
from movierec.aws.delta_quarantine_lake import DeltaQuarantineLake
from movierec.errors import (
    BucketNotFoundError,
    ConflictError,
    LakeError,
    TableNotFoundError,
    UnavailableError,
)
from movierec.lake.quarantined import WAITING, Selection, Span
from movierec.lake.site_clock import NO_TIME
from movierec.testing.memory import MemoryLake

DAY = np.array(["2026-11-20"], "datetime64[D]")
TIME = np.array(["2026-11-20T10:15"], "datetime64[us]")


def served(n, user_id=7):
    return {
        "served_date": np.repeat(DAY, n),
        "served_at": np.repeat(TIME, n),
        "recommendation_id": [f"r{i}" for i in range(n)],
        "user_id": np.full(n, user_id),
        "movie_ids": [["a", "b"]] * n,
        "source": ["model"] * n,
    }


@pytest.fixture(params=["memory", "folder", "s3"])
def lakes(request):
    """Return a function that opens the same lake once more, as another writer would."""
    if request.param == "memory":
        return MemoryLake().rival
    if request.param == "folder":
        folder = request.getfixturevalue("tmp_path")
        return lambda: DeltaQuarantineLake(str(folder))
    bucket = request.getfixturevalue("bucket")
    env = request.getfixturevalue("emulated_aws") | {"MOVIEREC_LAKE_BUCKET": bucket}
    return lambda: DeltaQuarantineLake.from_env(env)


def test_a_table_never_written_is_empty_and_has_no_version(lakes):
    lake = lakes()
    assert lake.count("served") == {}
    assert lake.transaction("served", "proxy-1") is None
    with pytest.raises(TableNotFoundError, match="served"):
        lake.version("served")


def test_rows_and_transaction_arrive_together(lakes):
    lake = lakes()
    lake.append("served", [served(2), served(3, user_id=8)], transactions={"proxy-1": 5})
    other = lakes()
    assert other.count("served") == {"": 5}
    assert other.count("served", by="user_id") == {"7": 2, "8": 3}
    assert other.transaction("served", "proxy-1") == 5
    assert other.transaction("served", "proxy-2") is None


def test_a_connection_that_breaks_off_within_an_answer_is_a_store_that_does_not_answer():
    said = (
        "Kernel error: Generic S3 error: Error getting list response body: HTTP error: request or "
        "response body error: error reading a body from connection: Connection reset by peer"
    )
    with pytest.raises(UnavailableError, match="append"), delta_errors("append"):
        raise DeltaError(said)


def test_every_append_is_a_version(lakes):
    lake = lakes()
    first = lake.append("served", [served(1)], transactions={"p": 1})
    second = lake.append("served", [served(1)], transactions={"p": 2})
    assert first < second == lake.version("served")


def test_a_commit_without_rows_still_moves_the_transaction(lakes):
    lake = lakes()
    lake.append("served", [], transactions={"p": 9})
    assert lakes().transaction("served", "p") == 9
    assert lakes().count("served") in ({}, {"": 0})


def test_a_writer_goes_on_under_its_own_name(lakes):
    lake = lakes()
    for sequence in (1, 5, 9):
        lake.append("served", [served(1)], transactions={"p": sequence})
    assert lake.count("served") == {"": 3}


def test_a_writer_that_never_looked_is_refused(lakes):
    lakes().append("served", [served(1)], transactions={"p": 1})
    with pytest.raises(ConflictError):
        lakes().append("served", [served(1)], transactions={"p": 2})
    assert lakes().count("served") == {"": 1}


def test_a_writer_whose_successor_wrote_is_refused(lakes):
    stale, owner = lakes(), lakes()
    stale.append("served", [served(1)], transactions={"p": 1})
    owner.transaction("served", "p")
    owner.append("served", [served(1)], transactions={"p": 2})
    with pytest.raises(ConflictError):
        stale.append("served", [served(1)], transactions={"p": 2})
    assert lakes().count("served") == {"": 2}


def test_a_writer_goes_on_after_others_commits_until_its_successor_wrote(lakes):
    stale, other, owner = lakes(), lakes(), lakes()
    for number in range(3):
        assert other.transaction("served", "q") == (number - 1 if number else None)
        other.append("served", [served(2)], transactions={"q": number})
        stale.append("served", [served(1)], transactions={"p": number, "p:term": 1})
    assert (owner.transaction("served", "p:term"), owner.transaction("served", "p")) == (1, 2)
    owner.append("served", [], transactions={"p:term": 2})
    other.append("served", [served(2)], transactions={"q": 3})
    with pytest.raises(ConflictError):
        stale.append("served", [served(1)], transactions={"p": 3, "p:term": 1})
    assert owner.count("served")[""] == 11


def test_writers_of_different_names_do_not_disturb_each_other(lakes):
    one, other = lakes(), lakes()
    one.append("served", [served(1)], transactions={"p": 1})
    other.append("served", [served(1)], transactions={"q": 1})
    one.append("served", [served(1)], transactions={"p": 2})
    assert lakes().count("served") == {"": 3}


def test_quarantined_offsets_are_those_of_the_partition_past_the_offset(lakes):
    rows = {
        "raw": [b"a", b"b", b"c", b"d"],
        "topic": ["t", "t", "t", "other"],
        "kafka_partition": np.array([0, 0, 1, 0]),
        "kafka_offset": np.array([5, 6, 7, 8]),
    }
    assert lakes().quarantined_offsets(["t"], 0, after=-1) == frozenset()
    lakes().append("quarantine", [rows], transactions={"t-0": 6})
    assert lakes().quarantined_offsets(["t"], 0, after=-1) == {5, 6}
    assert lakes().quarantined_offsets(["t"], 0, after=5) == {6}


def test_quarantined_rows_of_before_the_column_are_those_without_a_topic(lakes):
    rows = {"raw": [b"a"], "kafka_partition": np.array([0]), "kafka_offset": np.array([5])}
    lakes().append("quarantine", [rows], transactions={"t-0": 5})
    assert lakes().quarantined_offsets(["t"], 0, after=-1) == frozenset()
    assert lakes().quarantined_offsets(["t", None], 0, after=-1) == {5}


def test_an_unknown_column_is_refused_by_name(lakes):
    with pytest.raises(LakeError, match="colour"):
        lakes().append("served", [{"colour": ["red"]}], transactions={})


def test_a_value_that_does_not_fit_its_column_is_refused(lakes):
    rows = served(1) | {"status": np.array([70_000])}
    with pytest.raises(LakeError):
        lakes().append("served", [rows], transactions={})
    assert lakes().count("served") in ({}, {"": 0})


def test_columns_of_different_lengths_are_refused(lakes):
    with pytest.raises(LakeError):
        lakes().append("served", [served(2) | {"source": ["model"]}], transactions={})


def test_a_missing_bucket_is_said_with_what_to_do(emulated_aws):
    lake = DeltaLake.from_env(emulated_aws | {"MOVIEREC_LAKE_BUCKET": "no-such-bucket-here"})
    with pytest.raises(BucketNotFoundError, match="movierec up"):
        lake.append("served", [served(1)], transactions={})


def test_an_older_version_reads_as_it_was(tmp_path):
    lake = DeltaLake(str(tmp_path))
    version = lake.append("served", [served(2)], transactions={"p": 1})
    lake.append("served", [served(3)], transactions={"p": 2})
    rows = lake.query("select count(*) n from served", {"served": version})
    assert rows.column("n").to_pylist() == [2]


def test_none_in_a_list_of_numbers_is_null(lakes):
    lake = lakes()
    films = {"movie_id": ["a", "b"], "cost_usd": [None, 0.5], "tmdb_id": [2**62, None]}
    lake.append("movies", [films], transactions={})
    by_cost = lake.count("movies", by="cost_usd")
    assert (len(by_cost), by_cost["0.5"]) == (2, 1)
    for number in (2**63, "x", 0.5):
        with pytest.raises(LakeError):
            lake.append("movies", [films | {"tmdb_id": [number, None]}], transactions={})


T0 = np.datetime64("2026-11-20T10:00", "us")


def waiting(offsets, *, topic="t", partition=0, reason="unknown_movie", at=T0, recorded=T0):
    n = len(offsets)
    return {
        "quarantined_date": np.repeat(at.astype("datetime64[D]"), n),
        "raw": [f"line {offset}".encode() for offset in offsets],
        "reason": [reason] * n,
        "ingested_at": np.repeat(at, n),
        **({"topic": [topic] * n} if topic else {}),
        "kafka_partition": np.full(n, partition),
        "kafka_offset": np.array(offsets),
        "record_time": np.repeat(recorded, n),
    }


def seen(users, offsets, *, kind="rate", topic="t", partition=0):
    n = len(users)
    return {
        "kind": [kind] * n,
        "event_date": np.repeat(DAY, n),
        "user_id": np.array(users),
        **({"topic": [topic] * n} if topic else {}),
        "kafka_partition": np.full(n, partition),
        "kafka_offset": np.array(offsets),
    }


def test_a_lake_without_quarantine_has_nothing_that_waits(lakes):
    lake = lakes()
    assert list(lake.quarantine_spans(WAITING)) == []
    assert lake.offsets_in_both(WAITING, ["t"], 0) == frozenset()
    assert lake.new_users(["t"], {}).reached == {}


def test_waiting_lines_are_found_by_partition_and_reason(lakes):
    batches = [
        waiting([5, 3]),
        waiting([4], reason="bad_time"),
        waiting([9], partition=1),
        waiting([2], topic=None),
    ]
    lakes().append("quarantine", batches, transactions={})
    assert sorted(lakes().quarantine_spans(WAITING), key=lambda s: s.last) == [
        Span(None, 0, 2, 2, 1),
        Span("t", 0, 3, 5, 2),
        Span("t", 1, 9, 9, 1),
    ]
    assert sum(one.lines for one in lakes().quarantine_spans(Selection.of([]))) == 5


def test_waiting_lines_come_by_offset_as_many_as_are_asked_for(lakes):
    nat = np.datetime64("NaT", "us")
    batches = [waiting([8, 3], recorded=nat), waiting([5]), waiting([4], topic="other")]
    lakes().append("quarantine", batches, transactions={})

    def lines(**bounds):
        return lakes().quarantined_lines(WAITING, ["t"], 0, **bounds)

    found = lines(after=-1, until=99, most=2)
    assert found.offsets.tolist() == [3, 5]
    assert found.raw == [b"line 3", b"line 5"]
    assert found.recorded_us.tolist() == [NO_TIME, T0.astype(np.int64)]
    assert found.ingested_us.tolist() == [T0.astype(np.int64)] * 2
    assert lines(after=3, until=5, most=9).offsets.tolist() == [5]
    assert len(lines(after=8, until=99, most=9)) == 0


def test_lines_are_chosen_by_the_time_they_came_to_quarantine(lakes):
    hour = np.timedelta64(1, "h")
    batches = [waiting([n], at=T0 + n * 12 * hour) for n in range(4)]
    lakes().append("quarantine", batches, transactions={})
    since, until = (datetime(2026, 11, day, hour, tzinfo=UTC) for day, hour in ((20, 22), (21, 22)))

    def offsets(*bounds):
        chosen = Selection.of(["unknown_movie"], *bounds)
        lines = lakes().quarantined_lines(chosen, ["t"], 0, after=-1, until=9, most=9)
        return lines.offsets.tolist()

    assert offsets(since, until) == [1, 2]
    assert offsets(None, since) == [0]
    assert offsets(until, None) == [3]


def test_removed_lines_are_gone_and_no_others(lakes):
    batches = [
        waiting([1, 2, 3]),
        waiting([1], partition=1),
        waiting([1], topic="u"),
        waiting([7], topic=None),
    ]
    lakes().append("quarantine", batches, transactions={"w": 1})
    remover = lakes()
    gone = {0: np.array([1, 3, 7, 99]), 1: np.array([], np.int64)}
    remover.remove_quarantined(["t", None], gone)
    remover.remove_quarantined(["t", None], gone)
    left = {(s.topic, s.partition, s.first, s.last) for s in lakes().quarantine_spans(WAITING)}
    assert left == {("t", 0, 2, 2), ("t", 1, 1, 1), ("u", 0, 1, 1)}
    assert lakes().transaction("quarantine", "w") == 1


def test_lines_are_removed_while_others_arrive(lakes):
    """A worker's commit does not lose to a deletion, nor the deletion to a worker's commit."""
    worker, remover = lakes(), lakes()
    worker.append("quarantine", [waiting([1])], transactions={"w": 1})
    assert remover.version("quarantine") == worker.version("quarantine")
    worker.append("quarantine", [waiting([2])], transactions={"w": 2})
    remover.remove_quarantined(["t"], {0: np.array([1])})
    worker.append("quarantine", [waiting([3])], transactions={"w": 3})
    assert [(s.first, s.last) for s in lakes().quarantine_spans(WAITING)] == [(2, 3)]


def test_lines_that_are_events_already_are_known_by_their_offsets(lakes):
    lakes().append("quarantine", [waiting([1, 2, 3]), waiting([9], topic=None)], transactions={})
    lakes().append("events", [seen([1], [2]), seen([1], [3], topic="u")], transactions={})
    lakes().append("events", [seen([1], [9], topic=None)], transactions={})
    assert lakes().offsets_in_both(WAITING, ["t"], 0) == {2}
    assert lakes().offsets_in_both(WAITING, ["t", None], 0) == {2, 9}
    assert lakes().offsets_in_both(WAITING, ["t"], 1) == frozenset()


def test_users_who_have_no_row_are_found_and_new_accounts_apart(lakes):
    batches = [
        seen([7, 8], [0, 1]),
        seen([9], [2], kind="create_account"),
        seen([9, 10], [3, 5], partition=1),
        seen([99], [4], topic="u"),
    ]
    lakes().append("events", batches, transactions={})
    everyone = lakes().new_users(["t"], {})
    assert (everyone.created.tolist(), everyone.others.tolist()) == ([9], [7, 8, 10])
    assert everyone.reached == {0: 2, 1: 5}
    lakes().append("users", [{"user_id": [8, 9]}], transactions={})
    known = lakes().new_users(["t"], {})
    assert (known.created.tolist(), known.others.tolist()) == ([], [7, 10])
    later = lakes().new_users(["t"], {0: 2})
    assert later.others.tolist() == [10]
    assert lakes().new_users(["t"], {0: 2, 1: 5}).others.tolist() == []
