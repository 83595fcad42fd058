"""What every Lake promises: held to the fake, to Delta in a folder and to Delta on S3 alike."""

import numpy as np
import pytest
from deltalake.exceptions import DeltaError

from movierec.aws.delta_lake import DeltaLake, delta_errors
from movierec.errors import (
    BucketNotFoundError,
    ConflictError,
    LakeError,
    TableNotFoundError,
    UnavailableError,
)
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
        return lambda: DeltaLake(str(folder))
    bucket = request.getfixturevalue("bucket")
    env = request.getfixturevalue("emulated_aws") | {"MOVIEREC_LAKE_BUCKET": bucket}
    return lambda: DeltaLake.from_env(env)


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
