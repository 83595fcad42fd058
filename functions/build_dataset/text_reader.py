"""Read users' descriptions, movies' texts and the costs of plays for a data set."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from movierec.lake import text_queries
from movierec.lake.ports import LakeReader
from movierec.model.dataset import Dataset
from movierec.model.encoding import Array
from movierec.model.texts import MovieText, Texts
from movierec.model.user_id import rows_of


@dataclass(frozen=True, slots=True, eq=False)
class TextsAndCosts:
    """The optional parts of a data set that come from the tables of users and movies."""

    texts: Texts | None
    """None: nobody wrote anything, and the catalog has no text."""
    costs: Array | None
    """None: of no movie it is known."""
    left_out: int
    """Users who wrote something and are more than are wanted."""


def read_texts(
    lake: LakeReader, versions: Mapping[str, int], dataset: Dataset, most: int
) -> TextsAndCosts:
    """Return the descriptions of at most so many users, and what is known of all movies."""
    described = text_queries.read_described_users(lake, versions)
    rows, present = rows_of(dataset.user_ids, described)
    chosen = _most_liking(dataset, rows[present], most)
    users, descriptions = text_queries.read_descriptions(lake, versions, dataset.user_ids[chosen])
    movies = text_queries.read_movies(lake, versions, dataset.movie_ids)
    said = bool(descriptions) or any(one != MovieText() for one in movies.texts)
    rows = np.searchsorted(dataset.user_ids, users).astype(np.int32)
    return TextsAndCosts(
        Texts(rows, descriptions, movies.texts) if said else None,
        None if np.isnan(movies.costs).all() else movies.costs,
        int(present.sum()) - len(chosen),
    )


def _most_liking(dataset: Dataset, rows: Array, most: int) -> Array:
    """Return those of these users (n,), ascending, who liked the most movies; of equals the first.

    Their texts and their tastes are both known best.
    """
    if len(rows) <= most:
        return rows
    liked = np.add.reduceat((dataset.strength > 0).astype(np.int64), dataset.indptr[:-1])[rows]
    return np.sort(rows[np.argsort(-liked, kind="stable")[:most]])
