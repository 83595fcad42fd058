"""Factors of users who came, or watched on, after the movies' factors were fitted.

The half step of alternating least squares for users (Hu, Koren & Volinsky 2008, "Collaborative
Filtering for Implicit Feedback Datasets", equation 4), solved exactly:

    x_u = (Y'Y + Y'(C_u - I)Y + lambda I)^-1 Y'C_u p_u

Only liked movies cost anything beyond Y'Y, which is the same for all.

Of a user of whom something else is known, a text or a group, factors m are expected before anything
is liked: the prior's mean. With G = Y'Y + lambda I, adding t (x - m)'G(x - m) to what is minimised
gives

    x_u = ((1 + t) G + Y'(C_u - I)Y)^-1 (Y'C_u p_u + t G m)

which ranks as m while nothing is liked, and as without a prior when much is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from movierec.model.dataset import Dataset
from movierec.model.encoding import Array
from movierec.model.fitted import Float32
from movierec.model.sparse_rows import SparseRows

# Entries of liked movies' factors at once: 64 MB of 64 factors in double precision.
_ENTRIES_A_CHUNK: Final = 125_000
# Numbers of the users' equations at once: 64 MB; of users with few likes these are more.
_NUMBERS_A_CHUNK: Final = 8_000_000


def scaled(regularization: float, dataset: Dataset) -> float:
    """Return lambda for a regularization in units of `bai_yin_edge`, as a model's parameters."""
    n_positive = int((dataset.strength > 0).sum())
    return regularization * bai_yin_edge(n_positive, len(dataset.user_ids), len(dataset.movie_ids))


def regularization_of(manifest: Mapping[str, Any], dataset: Dataset) -> float:
    """Return a model's lambda; manifests of before have it in units of `bai_yin_edge` alone."""
    found = manifest.get("als_regularization")
    return scaled(manifest["parameters"]["regularization"], dataset) if found is None else found


def bai_yin_edge(n_positive: int, n_users: int, n_movies: int) -> float:
    """Return sqrt(n / users) + sqrt(n / movies) for n positive interactions.

    With all c = 1, the problem's solution is the singular value decomposition of p, its singular
    values soft-thresholded by lambda (Srebro, Rennie & Jaakkola 2004, on the trace norm). A random
    p of this density has its singular values below this edge (Bai & Yin 1988): those under it
    cannot be distinguished from noise.
    """
    return float(np.sqrt(n_positive / n_users) + np.sqrt(n_positive / n_movies))


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """What is expected of users: the mean m of each, (n_users, k), and its weight t."""

    means: Float32
    weights: Array
    """(n_users,); where a mean is all zeros, nothing is expected whatever its weight."""

    @classmethod
    def none(cls, n_users: int, k: int) -> Self:
        """Return the prior that changes nothing."""
        return cls(np.zeros((n_users, k), np.float32), np.zeros(n_users))

    def effective(self) -> npt.NDArray[np.float64]:
        """Return the weights, 0 where nothing is expected."""
        return np.where(self.means.any(axis=1), self.weights, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class FoldIn:
    """Movies' factors (n_movies, k), and lambda in absolute units."""

    movies: Float32
    regularization: float

    def factors(self, rows: SparseRows, confidence: Array, prior: Prior | None = None) -> Float32:
        """Return the users' factors, (n_users, k).

        `rows` holds the movies that each likes, `confidence` (n,) the c of each of them, 1 or more.
        A user who likes nothing gets zeros, with a prior t / (1 + t) of its mean.
        """
        gram, counts = self._gram(), np.diff(rows.indptr)
        prior = prior or Prior.none(len(rows), self.movies.shape[1])
        weights = prior.effective()
        found = (prior.means * (weights / (1 + weights))[:, None]).astype(np.float32)
        # By count, so that a chunk's users need little padding.
        order = np.argsort(counts, kind="stable")
        order = order[counts[order] > 0]
        begin, most = 0, max(1, _NUMBERS_A_CHUNK // gram.size)
        while begin < len(order):
            end = min(_chunk_end(counts[order], begin), begin + most)
            users = order[begin:end]
            left, right = self._liked(rows, confidence, users)
            # Chunk by chunk in double precision.
            left += (1 + weights[users])[:, None, None] * gram
            right += weights[users][:, None] * (prior.means[users].astype(np.float64) @ gram)
            found[users] = np.linalg.solve(left, right[:, :, None])[:, :, 0]
            begin = end
        return found

    def _liked(self, rows: SparseRows, confidence: Array, users: Array) -> tuple[Array, Array]:
        """Return Y'(C_u - I)Y and Y'C_u p_u of some users, (n, k, k) and (n, k)."""
        counts = np.diff(rows.indptr)[users]
        within = np.arange(counts.max())
        present = within < counts[:, None]
        entries = np.where(present, rows.indptr[users][:, None] + within, 0)
        # Padding has confidence 0 and adds nothing to either side.
        c = np.where(present, confidence[entries], 0).astype(np.float64)[:, :, None]
        y = self.movies[rows.columns[entries]].astype(np.float64)
        left = np.swapaxes(y, 1, 2) @ (y * np.where(present[:, :, None], c - 1, 0))
        return left, (y * c).sum(axis=1)

    def contributions(
        self, liked: Array, confidence: Array, movies: Array, prior: Prior | None = None
    ) -> Float32:
        """Return how much of each movie's score each liked movie makes, (len(movies), n).

        The score of movie i is the sum over what the user likes of c_uj y_i' W_u y_j, with W_u the
        inverse in the equation above: section 5 of the paper. `liked` and `confidence` are (n,).
        With a prior, which is the one user's, its own part is the last column, of n + 1.
        """
        return self.movies[movies] @ self.parts(liked, confidence, prior)

    def parts(self, liked: Array, confidence: Array, prior: Prior | None = None) -> Float32:
        """Return the parts of a user's factors, (k, n) or (k, n + 1): see `contributions`."""
        y, gram = self.movies[liked], self._gram()
        left, right = gram + (y.T * (confidence - 1)) @ y, y.T * confidence
        if prior:
            weight = float(prior.effective()[0])
            left = left + weight * gram
            right = np.column_stack((right, weight * (gram @ prior.means[0])))
        found: Float32 = np.linalg.solve(left, right).astype(np.float32)
        return found

    def _gram(self) -> Array:
        # In double: a hundred thousand movies' products are summed.
        wide = self.movies.astype(np.float64)
        gram = wide.T @ wide
        gram[np.diag_indices_from(gram)] += self.regularization
        return gram


def _chunk_end(ascending: Array, begin: int) -> int:
    """Return where a chunk of padded rows that starts at `begin` ends: one row at least."""
    padded = ascending[begin:] * np.arange(1, len(ascending) - begin + 1)
    return begin + max(1, int(np.searchsorted(padded, _ENTRIES_A_CHUNK, side="right")))
