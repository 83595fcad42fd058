import numpy as np
import polars as pl
import pytest

from movierec.aws.arrow_columns import record_batch
from movierec.errors import LakeError
from movierec.lake.schema import EVENTS, MOVIES, QUARANTINE, Columns, select


def column(table, name, values):
    return record_batch(table, {name: values}).column(name)


@pytest.mark.parametrize(
    ("table", "name", "values"),
    [
        (EVENTS, "movie_id", pl.Series(["a", None, "a+name+of+more+than+twelve+bytes"])),
        (EVENTS, "movie_ids", pl.Series([["a", "b"], [], ["c"]])),
        (EVENTS, "movie_ids", pl.Series([], dtype=pl.List(pl.String))),
        (QUARANTINE, "raw", pl.Series([b"\xff", b""])),
        (EVENTS, "status", pl.Series([200, 0], dtype=pl.Int64)),
        (EVENTS, "movie_id", pl.concat([pl.Series(["a"]), pl.Series(["b"])], rechunk=False)),
        (EVENTS, "movie_id", pl.Series(["a", "b", "c"]).gather([2, 0])),
    ],
)
def test_an_arrow_column_is_written_as_it_is(table, name, values):
    assert column(table, name, values).to_pylist() == values.to_list()


@pytest.mark.parametrize(
    ("table", "name", "values"),
    [
        (EVENTS, "status", pl.Series([1, 70_000])),
        (EVENTS, "status", pl.Series([1.5])),
        (EVENTS, "status", pl.Series(["many"])),
        (EVENTS, "movie_id", pl.Series([b"\xff"])),
    ],
)
def test_an_arrow_value_that_would_change_is_refused(table, name, values):
    with pytest.raises(LakeError, match="does not fit"):
        column(table, name, values)


def test_columns_of_every_sort_have_one_length():
    batch: Columns = {"movie_id": pl.Series(["a"]), "title": ["A", "B"]}
    with pytest.raises(LakeError, match="different lengths"):
        record_batch(MOVIES, batch)


def test_a_column_that_a_batch_lacks_is_null_for_each_row():
    batch = record_batch(EVENTS, {"movie_id": pl.Series(["a", "b"])})
    lacking = [name for name in EVENTS.columns if name != "movie_id"]
    assert [batch.column(name).to_pylist() for name in lacking] == [[None, None]] * len(lacking)


def test_rows_are_selected_from_columns_of_every_sort():
    columns: Columns = {"a": pl.Series(["x", "y"]), "b": np.array([1, 2]), "c": [b"1", b"2"]}
    chosen = select(columns, np.array([False, True]))
    assert [list(values) for values in chosen.values()] == [["y"], [2], [b"2"]]
