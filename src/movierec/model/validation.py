"""Cut a validation part from TRAIN, by time as the test part was cut: for choosing parameters."""

import dataclasses

import numpy as np

from movierec.errors import DatasetError
from movierec.model.dataset import TEST, TRAIN, Dataset, split
from movierec.model.sparse_rows import SparseRows

VALIDATION_SHARE = 0.1
"""Of TRAIN's interactions, the newest: the share that data sets hold out by default."""


def validation_split(dataset: Dataset, share: float = VALIDATION_SHARE) -> Dataset:
    """Return TRAIN alone as a data set, with its newest `share` as TEST (and LATER).

    Nothing of the data set's TEST and LATER is in it. Users and movies keep their rows.

    Raises DatasetError if none can be held out.
    """
    train = dataset.part == TRAIN
    rows = SparseRows(dataset.indptr, dataset.movies).where(train)
    strength, last_at = dataset.strength[train], dataset.last_at[train]
    part = split(last_at, rows.row_numbers(), strength, share) if train.any() else np.zeros(0)
    if not ((part == TEST) & (strength > 0)).any():
        raise DatasetError(
            f"of {len(part)} interactions to train on none can be held out to choose parameters"
            " by: no user has a positive one among the newest and another before; build a data set"
            " of more days"
        )
    return dataclasses.replace(
        dataset,
        indptr=rows.indptr,
        movies=rows.columns,
        strength=strength,
        ratings=dataset.ratings[train],
        last_at=last_at,
        part=part,
    )
