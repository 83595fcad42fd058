"""A validation part is cut from TRAIN alone, by time."""

from dataclasses import replace

import numpy as np
import pytest

from movierec.errors import DatasetError
from movierec.model.dataset import TEST, TRAIN
from movierec.model.sparse_rows import row_numbers
from movierec.model.validation import validation_split
from tests.unit.movierec.model.tastes import tasteful


def cells(data, keep):
    return set(zip(row_numbers(data.indptr)[keep], data.movies[keep], strict=True))


def test_it_holds_train_alone_whole():
    data = tasteful(1)
    cut = validation_split(data)
    everything = np.ones(len(cut.movies), np.bool_)
    assert cells(cut, everything) == cells(data, data.part == TRAIN)
    assert cut.user_ids is data.user_ids
    assert cut.movie_ids is data.movie_ids


def test_its_test_part_is_the_newest_of_users_with_something_earlier():
    cut = validation_split(tasteful(1), 0.2)
    test, train = cut.part == TEST, cut.part == TRAIN
    assert cut.last_at[test].min() >= cut.last_at[train].max()
    assert 0.1 < test.mean() <= 0.21
    rows = row_numbers(cut.indptr)
    assert set(rows[test]) <= set(rows[train & (cut.strength > 0)])


def test_too_little_to_hold_out_is_said():
    data = tasteful(1)
    with pytest.raises(DatasetError, match="0 interactions"):
        validation_split(replace(data, part=np.full(len(data.part), TEST)))
    with pytest.raises(DatasetError, match="held out"):
        validation_split(replace(data, strength=np.zeros(len(data.part), np.float32)))
