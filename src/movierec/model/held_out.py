"""The held-out part of a data set: who is tested, on what, and to which subpopulations they belong.

Subpopulations partition the test users, each by one attribute:

    gender, age    from the site's users; age "unknown": none known
    occupation     likewise, where the data set has occupations
    activity       by the number of interactions in TRAIN
    tenure         "new": the user's first event in TRAIN is among its last NEW_SHARE

New movies are those whose first event is among the last NEW_SHARE of TRAIN's, or later.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from movierec.model import segments
from movierec.model.dataset import TEST, TRAIN, Dataset
from movierec.model.encoding import Array
from movierec.model.fitted import Exclusions
from movierec.model.segments import GROUPS
from movierec.model.sparse_rows import row_numbers

NEW_SHARE: Final = 0.1
"""As much as is held out: those users and movies had about as long to leave traces."""

# On MovieLens the popular list is hard to beat up to about 10 interactions.
_ACTIVITY_LIMITS: Final = (10, 50)
_ACTIVITIES: Final = ("1-9 seen", "10-49 seen", "50+ seen")

Masks = Mapping[str, npt.NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """The users who liked a movie in TEST, all or an even sample, and their interactions there."""

    users: Array
    """Rows in the data set."""
    liked_rows: Array
    """Index into `users`, as are `rated_rows`."""
    liked: Array
    rated_rows: Array
    rated: Array
    ratings: Array
    train_counts: Array
    """Interactions in TRAIN of each of `users`."""
    exclusions: Exclusions
    subpopulations: Mapping[str, Masks]
    """By kind and name, (len(users),)."""
    new_movies: npt.NDArray[np.bool_]
    """(n_movies,)"""

    @classmethod
    def of(cls, dataset: Dataset, most_users: int) -> Self:
        """Return the test users; of more than `most_users` an even sample, the same each time."""
        rows, test = row_numbers(dataset.indptr), dataset.part == TEST
        likes = test & (dataset.strength > 0)
        users = np.unique(rows[likes])
        users = users[:: max(1, math.ceil(len(users) / most_users))]
        place = np.full(len(dataset.user_ids), -1)
        place[users] = np.arange(len(users))
        tested = place[rows] >= 0
        likes, rates = likes & tested, test & tested & (dataset.ratings > 0)
        train = dataset.part == TRAIN
        counts = np.bincount(rows[train], minlength=len(dataset.user_ids))[users]
        late = _late(dataset.last_at[train])
        return cls(
            users=users,
            liked_rows=place[rows[likes]],
            liked=dataset.movies[likes],
            rated_rows=place[rows[rates]],
            rated=dataset.movies[rates],
            ratings=dataset.ratings[rates],
            train_counts=counts,
            exclusions=Exclusions.of(dataset, train),
            subpopulations=_subpopulations(
                dataset, users, counts, new=_first(rows, dataset, train)[users] > late
            ),
            new_movies=_first(dataset.movies, dataset, train, len(dataset.movie_ids)) > late,
        )


def _late(last_at: Array) -> int:
    """Return the time after which the last NEW_SHARE of events are."""
    return int(np.quantile(last_at, 1 - NEW_SHARE)) if len(last_at) else 0


def _first(keys: Array, dataset: Dataset, train: Array, n: int | None = None) -> Array:
    """Return the first time in TRAIN of each user (row) or movie; none: the end of time."""
    first = np.full(len(dataset.user_ids) if n is None else n, np.iinfo(np.int64).max)
    np.minimum.at(first, keys[train], dataset.last_at[train].astype(np.int64))
    return first


def _subpopulations(
    dataset: Dataset, users: Array, counts: Array, *, new: Array
) -> Mapping[str, Masks]:
    activity = np.array(_ACTIVITIES)[np.searchsorted(_ACTIVITY_LIMITS, counts, side="right")]
    return {
        **{kind: by_name(names) for kind, names in demographics(dataset, users).items()},
        **_occupations(dataset, users),
        "activity": {name: activity == name for name in _ACTIVITIES},
        "tenure": {"new": new, "known longer": ~new},
    }


def _occupations(dataset: Dataset, users: Array) -> Mapping[str, Masks]:
    if dataset.occupations is None:
        return {}
    return {"occupation": by_name(dataset.occupations.of_users(dataset.user_ids[users]))}


def demographics(dataset: Dataset, users: Array) -> dict[str, Array]:
    """Return gender and age band by name of users (rows of the data set), (len(users),) each."""
    groups = segments.groups_of(dataset.user_ids, dataset.user_groups)[users]
    return {
        "gender": np.array([name.partition(":")[0] for name in GROUPS])[groups],
        "age": np.array([name.partition(":")[2] or name for name in GROUPS])[groups],
    }


def by_name(names: Array) -> Masks:
    """Return where each of the names stands, by name."""
    return {name: names == name for name in np.unique(names).tolist()}
