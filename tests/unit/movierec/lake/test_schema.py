import numpy as np
import pytest

from movierec.lake.schema import TABLES, dates, length, select


def test_partition_columns_are_columns():
    for table in TABLES.values():
        assert set(table.partition_by) <= set(table.columns)


def test_a_time_belongs_to_its_utc_day():
    times = np.array(["2026-11-20T23:59:59.999999", "2026-11-21T00:00"], "datetime64[us]")
    assert dates(times).astype(str).tolist() == ["2026-11-20", "2026-11-21"]


def test_columns_of_different_lengths_are_named():
    with pytest.raises(ValueError, match="'b': 1"):
        length({"a": [1, 2], "b": [1]})


def test_no_columns_are_no_rows():
    assert length({}) == 0


def test_selected_rows_keep_their_order_in_every_column():
    chosen = select({"n": np.array([1, 2, 3]), "t": ["a", "b", "c"]}, np.array([True, False, True]))
    assert list(chosen["n"]) == [1, 3]
    assert chosen["t"] == ["a", "c"]
