"""Upkeep of real Delta tables while others append to them: nothing is lost but what is too old."""

import os
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from deltalake import DeltaTable

from functions.lake_maintenance.handler import Dependencies, maintain_lake
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.delta_maintenance import LakeMaintainer
from movierec.errors import ConflictError, LakeError, VersionNotFoundError
from movierec.lake.maintenance import Policy
from movierec.lake.schema import dates
from movierec.testing.memory import FakeClock

TODAY, OLD, JUST_KEPT = "2026-11-20", "2026-05-23", "2026-05-24"  # 181 and 180 days before
AT_ONCE = Policy(vacuum_retention_hours=0)
TOO_OLD = f"kind = 'watch' AND event_date < '{JUST_KEPT}'"


def events(rows, day=TODAY, kind="watch", first_offset=0):
    times = np.full(rows, np.datetime64(day, "us"))
    return {
        "kind": [kind] * rows,
        "event_date": dates(times),
        "event_time": times,
        "user_id": np.arange(1, rows + 1),
        "kafka_partition": np.zeros(rows, np.int64),
        "kafka_offset": np.arange(rows) + first_offset,
    }


def maintainer_of(lake, policy=AT_ONCE, **changes):
    wanted = {
        "clock": FakeClock(),
        "pause": lambda _seconds: None,
        "time_left_s": lambda: 900.0,
    }
    return LakeMaintainer(lake, policy, **{**wanted, **changes})


def maintain(lake, policy=AT_ONCE, **changes):
    """Run upkeep and return what it did, by table."""
    done = {done.table: done for done in maintainer_of(lake, policy, **changes).maintain()}
    assert [kept.error for kept in done.values() if kept.error] == []
    return done


def rows(lake, version=None):
    """Return the user ids, read from the files and not from statistics."""
    found = lake.query("select user_id u from events order by 1", {"events": version})
    return found.column("u").to_pylist()


def append(lake, *batches, upto):
    return lake.append("events", batches, transactions={"movielog1-0": upto})


@pytest.fixture
def lake(tmp_path):
    return DeltaLake(str(tmp_path))


@pytest.fixture(params=["folder", "s3"])
def either_lake(request):
    if request.param == "folder":
        return DeltaLake(str(request.getfixturevalue("tmp_path")))
    env = request.getfixturevalue("emulated_aws")
    return DeltaLake.from_env(env | {"MOVIEREC_LAKE_BUCKET": request.getfixturevalue("bucket")})


def test_old_watching_goes_and_small_files_become_one(either_lake):
    lake = either_lake
    for n in range(4):
        batch = [events(2, OLD), events(3, JUST_KEPT), events(1, OLD, "rate"), events(2)]
        append(lake, *batch, upto=n)

    (done,) = maintain(lake).values()

    assert (done.rows_deleted, done.partitions_left) == (8, 0)
    assert (done.files_removed, done.files_added) == (12, 3)
    assert done.files_vacuumed == 4  # those of the rows; the small ones were in use until then
    assert lake.count("events", by="kind") == {"watch": 20, "rate": 4}
    assert maintain(lake)["events"].files_vacuumed == 12
    assert lake.transaction("events", "movielog1-0") == 3
    append(lake, events(1), upto=4)
    assert len(rows(lake)) == 25


def test_events_of_impossible_times_and_new_accounts_are_kept_like_others(lake):
    days = ("1926-11-20", "2206-11-20", "9999-12-31", TODAY)
    for n in range(4):
        accounts = [events(1, day, "create_account") for day in days]
        append(lake, *accounts, *(events(1, day) for day in days), upto=n)

    (done,) = maintain(lake).values()

    assert (done.rows_deleted, done.partitions_left) == (4, 0)
    assert lake.count("events", by="kind") == {"watch": 12, "create_account": 16}
    assert (done.files_removed, done.files_added) == (28, 7)
    assert len(rows(lake)) == 28


def test_upkeep_with_nothing_to_do_leaves_no_version(lake):
    append(lake, events(2), upto=1)
    lake.append("movies", [{"movie_id": ["a"]}], transactions={})
    before = maintain(lake, Policy())

    assert maintain(lake, Policy()) == before
    assert {table: kept.version for table, kept in before.items()} == {"events": 1, "movies": 1}


def test_a_retention_of_nothing_keeps_everything(lake):
    append(lake, events(2, "2001-01-01"), upto=1)

    assert maintain(lake, Policy(watch_retention_days=0))["events"].rows_deleted == 0


def test_rows_without_a_day_are_compacted_like_others(lake):
    for offset in range(4):
        line = {"raw": [b"x"], "kafka_partition": np.array([0]), "kafka_offset": np.array([offset])}
        lake.append("quarantine", [line], transactions={"movielog1-0": offset})

    assert maintain(lake)["quarantine"].files_added == 1
    assert lake.quarantined_offsets([None], 0, after=-1) == {0, 1, 2, 3}


def test_what_there_is_no_time_for_is_left_to_the_next_run(lake):
    for n in range(4):
        append(lake, events(1), events(1, kind="rate"), upto=n)

    assert maintain(lake, time_left_s=lambda: 30.0)["events"].partitions_left == 2
    assert maintain(lake)["events"].partitions_left == 0


def test_appends_and_upkeep_at_the_same_time_lose_nothing(lake, tmp_path):
    """The writer keeps one handle for all its appends, as a worker does, and is never refused."""
    appends, done = 60, threading.Event()
    for n in range(-4, 0):
        append(lake, events(5, OLD), upto=n)
    lake.open("events").optimize.compact()
    make_older(tmp_path / "events", days=10)

    def write():
        for n in range(appends):
            append(lake, events(5), events(1, OLD), events(2, kind="rate"), upto=n)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    # A day: vacuum spares what the writer has not committed yet, and takes what was joined above.
    policy, runs = Policy(vacuum_retention_hours=24), []
    while not done.is_set() and writer.is_alive():
        runs.append(maintain(DeltaLake(str(tmp_path)), policy, pause=time.sleep)["events"])
    writer.join()

    assert done.is_set()
    assert len(runs) > 1
    assert sum(run.files_vacuumed for run in runs) == 4
    maintain(DeltaLake(str(tmp_path)), policy)
    other = DeltaLake(str(tmp_path))
    assert other.count("events", by="kind") == {"watch": 5 * appends, "rate": 2 * appends}
    assert len(rows(other)) == 7 * appends
    assert other.transaction("events", "movielog1-0") == appends - 1


class Overtaken(DeltaLake):
    """A lake whose next append finds that somebody was quicker, after it has looked."""

    def __init__(self, root, rival):
        super().__init__(root)
        self.rivals = [rival]

    def _refuse_stale(self, delta, table, transactions):
        super()._refuse_stale(delta, table, transactions)
        if self.rivals:
            self.rivals.pop()()


def test_an_append_that_a_deletion_overtakes_goes_through_once(lake, tmp_path):
    append(lake, events(3, OLD), upto=1)
    slow = Overtaken(str(tmp_path), lambda: DeltaTable(tmp_path / "events").delete(TOO_OLD))
    slow.transaction("events", "movielog1-0")

    append(slow, events(2), upto=2)

    assert slow.rivals == []
    assert rows(lake) == [1, 2]


def test_an_append_that_another_owner_overtakes_is_still_refused(lake, tmp_path):
    append(lake, events(3), upto=1)
    slow = Overtaken(str(tmp_path), lambda: append(lake, events(1), upto=5))
    slow.transaction("events", "movielog1-0")

    with pytest.raises(ConflictError, match="stands at 5"):
        append(slow, events(2), upto=2)


def test_an_append_without_a_name_is_not_repeated_for_nobody_could_tell_if_it_is_in(lake, tmp_path):
    append(lake, events(3, OLD), upto=1)
    slow = Overtaken(str(tmp_path), lambda: DeltaTable(tmp_path / "events").delete(TOO_OLD))

    with pytest.raises(ConflictError):
        slow.append("events", [events(2)], transactions={})


@pytest.mark.parametrize(("rivals", "waited"), [(1, [1.0]), (9, [1.0, 2.0, 4.0, 8.0])])
def test_a_deletion_that_is_overtaken_is_tried_again_but_not_for_ever(lake, rivals, waited):
    append(lake, events(3, OLD), upto=0)
    delta = lake.open("events")
    pauses: list[float] = []
    late = iter(range(1, rivals + 1))

    def delete():
        if (upto := next(late, None)) is not None:
            append(lake, events(1, OLD), upto=upto)
        return delta.delete(TOO_OLD)

    keeper = maintainer_of(lake, pause=pauses.append)
    if rivals == 1:
        assert keeper._committed(delta, "delete", delete)["num_deleted_rows"] == 4
    else:
        with pytest.raises(ConflictError, match=r"delete: .*concurrent"):
            keeper._committed(delta, "delete", delete)
    assert pauses == waited


def test_a_table_that_cannot_be_kept_does_not_keep_the_others_from_it(lake, tmp_path):
    for n in range(4):
        append(lake, events(1), upto=n)
    lake.append("movies", [{"movie_id": ["a"]}], transactions={})
    (lost, *_) = lake.open("events").file_uris()
    Path(lost.removeprefix("file://")).unlink()

    done = {done.table: done for done in maintainer_of(lake, Policy()).maintain()}

    assert "not found" in done["events"].error
    assert done["movies"].error == ""


def test_what_was_replaced_stays_readable_until_its_retention_however_old_the_file(lake, tmp_path):
    """A file of last year that was joined ten days ago: no checkpoint may forget it before time."""
    for n in range(4):
        then = append(lake, events(1), upto=n)
    lake.open("events").optimize.compact()
    make_older(tmp_path / "events", days=10)

    for n in range(4, 8):
        append(lake, events(1), upto=n)
    assert maintain(lake, Policy())["events"].files_removed > 0  # and a checkpoint was written
    maintain(lake, Policy())

    assert rows(lake, then) == [1, 1, 1, 1]


def make_older(table, days):
    """Make what was removed be removed days ago, of files that are older than everything."""
    for path in table.rglob("*.parquet"):
        os.utime(path, (0, 0))
    for path in (table / "_delta_log").glob("*.json"):
        text = re.sub(
            r'(?<="deletionTimestamp":)\d+',
            lambda found: str(int(found[0]) - days * 86_400_000),
            path.read_text(encoding="utf-8"),
        )
        path.write_text(text, encoding="utf-8")


def test_a_new_retention_is_written_into_the_table(lake):
    append(lake, events(1), upto=1)

    maintain(lake, Policy(vacuum_retention_hours=200))

    told = lake.open("events").metadata().configuration
    assert set(told.values()) == {"interval 200 hours"}
    assert append(lake, events(1), upto=2) == 3


def test_a_version_whose_files_were_vacuumed_is_said_to_be_gone(either_lake):
    lake = either_lake
    then = append(lake, events(3, OLD), events(2), upto=1)
    assert rows(lake, then) == [1, 1, 2, 2, 3]
    maintain(lake)

    with pytest.raises(VersionNotFoundError, match=f"no longer holds version {then} of events"):
        rows(lake, then)
    assert rows(lake) == [1, 2]


def test_a_version_that_the_log_no_longer_reaches_is_said_to_be_gone(lake, tmp_path):
    then = append(lake, events(3, OLD), upto=1)
    append(lake, events(2), upto=2)
    long_ago = time.time() - 40 * 86_400
    for path in Path(tmp_path / "events" / "_delta_log").iterdir():
        os.utime(path, (long_ago, long_ago))
    maintain(lake, Policy())

    with pytest.raises(VersionNotFoundError, match=f"no longer holds version {then} of events"):
        rows(lake, then)
    assert DeltaLake(str(tmp_path)).transaction("events", "movielog1-0") == 2


def test_a_version_of_another_lake_is_said_not_to_be_there(lake):
    append(lake, events(3), upto=1)

    with pytest.raises(VersionNotFoundError, match="another lake"):
        rows(lake, 41)


def test_a_file_that_the_present_lacks_was_not_vacuumed_but_lost(lake):
    then = append(lake, events(3), upto=1)
    (uri,) = lake.open("events").file_uris()
    Path(uri.removeprefix("file://")).unlink()

    with pytest.raises(LakeError, match="not found") as raised:
        rows(lake, then)
    assert not isinstance(raised.value, VersionNotFoundError)


def test_the_function_keeps_the_lake_that_its_environment_names(emulated_aws, bucket):
    env = emulated_aws | {"MOVIEREC_LAKE_BUCKET": bucket, "MOVIEREC_WATCH_RETENTION_DAYS": "1"}
    lake = DeltaLake.from_env(env)
    for n in range(4):
        append(lake, events(1, "2020-02-20"), events(1, kind="rate"), upto=n)

    answer = maintain_lake(Dependencies.from_env(env), lambda: 900.0)

    assert answer["tables"]["events"]["rows_deleted"] == 4
    assert answer["tables"]["events"]["files_added"] == 1
    assert lake.count("events", by="kind") == {"rate": 4}
