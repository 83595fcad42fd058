"""Item neighbours of an artifact: for each movie, liking which others speaks for it most, and how.

    item_neighbours.npy  (n_movies, NEIGHBOURS) of topk's type, indices into movie_ids, strongest
                         first, rows padded with the type's largest value
    item_weights.npy     (n_movies, NEIGHBOURS) float32, the weight of each, more than 0; padded
                         with 0

Optional: models from before have none, and serving needs none. A movie that is seldom watched has
no neighbours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from movierec.errors import ArtifactError
from movierec.model import artifact
from movierec.model.encoding import Array, dump_npy, load_npy
from movierec.model.fitted import Float32

NEIGHBOURS_FILE: Final = "item_neighbours.npy"
WEIGHTS_FILE: Final = "item_weights.npy"
FILES: Final = (NEIGHBOURS_FILE, WEIGHTS_FILE)

NEIGHBOURS: Final = 200
"""On MovieLens 1M they hold 99.7% of the three strongest pulls of a list's movies, and three
quarters of all that pulls; 32 MB for 27,000 movies."""

_MOVIES_AT_ONCE: Final = 512


@dataclass(frozen=True, slots=True, eq=False)
class ItemNeighbours:
    """The arrays of the module's docstring."""

    sources: Array
    weights: Float32

    @classmethod
    def strongest(cls, movies: Array, weights: Float32, n_movies: int) -> Self:
        """Return the neighbours by weights (N, N), from row to column, of `movies` (N,)."""
        kind = artifact.index_type(n_movies)
        sources = np.full((n_movies, NEIGHBOURS), np.iinfo(kind).max, kind)
        kept = np.zeros((n_movies, NEIGHBOURS), np.float32)
        most = min(NEIGHBOURS, len(movies))
        for start in range(0, len(movies), _MOVIES_AT_ONCE):
            columns = slice(start, start + _MOVIES_AT_ONCE)
            towards = np.ascontiguousarray(weights[:, columns].T)
            order = np.argsort(-towards, axis=1, kind="stable")[:, :most]
            found = np.take_along_axis(towards, order, axis=1)
            places = movies[columns]
            kept[places, :most] = np.maximum(found, 0)
            sources[places, :most] = np.where(found > 0, movies[order], np.iinfo(kind).max)
        return cls(sources, kept)

    def pack(self) -> dict[str, bytes]:
        """Return the files by name."""
        return {NEIGHBOURS_FILE: dump_npy(self.sources), WEIGHTS_FILE: dump_npy(self.weights)}

    @classmethod
    def unpack(cls, files: Mapping[str, bytes]) -> Self:
        """Return what `pack` wrote. Raises ArtifactError."""
        sources, weights = (load_npy(name, files[name]) for name in FILES)
        if sources.ndim != 2 or sources.shape != weights.shape:  # noqa: PLR2004  a row a movie
            raise ArtifactError(
                f"{NEIGHBOURS_FILE} has shape {sources.shape}, {WEIGHTS_FILE} {weights.shape}:"
                " fetch the model again, or train anew"
            )
        return cls(sources, weights)

    def contributions(self, liked: Array, strengths: Array, movies: Array) -> Float32:
        """Return how much each liked movie adds to each movie's score, (len(movies), n).

        `liked` and `strengths` are (n,).
        """
        same = self.sources[movies][:, :, None] == liked.astype(self.sources.dtype)
        found = (self.weights[movies][:, :, None] * same).sum(axis=1) * strengths
        return np.asarray(found, np.float32)

    def scores(self, liked: Array, strengths: Array) -> Float32:
        """Return the score of every movie, (n_movies,), for a user who likes these, (n,) both."""
        by_movie = np.zeros(int(np.iinfo(self.sources.dtype).max) + 1, np.float32)
        by_movie[liked] = strengths
        found: npt.NDArray[np.float32] = (self.weights * by_movie[self.sources]).sum(axis=1)
        return found
