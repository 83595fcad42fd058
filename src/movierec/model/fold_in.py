"""Factors of users who were not there when the movies' factors were fitted.

The half step of alternating least squares for users (Hu, Koren & Volinsky 2008, equation 4), solved
exactly: x_u = (Y'Y + Y'(C_u - I)Y + lambda I)^-1 Y'C_u p_u.
"""

from dataclasses import dataclass

import numpy as np

from movierec.model.encoding import Array
from movierec.model.fitted import Float32
from movierec.model.sparse_rows import SparseRows


@dataclass(frozen=True, slots=True, eq=False)
class FoldIn:
    """Movies' factors (n_movies, k), and lambda in absolute units."""

    movies: Float32
    regularization: float

    def factors(self, rows: SparseRows, confidence: Array) -> Float32:
        """Return the users' factors, (n_users, k).

        `rows` holds the movies that each likes, `confidence` (n,) the c of each of them, 1 or more.
        A user who likes nothing gets zeros.
        """
        gram = self._gram()
        found = np.zeros((len(rows), self.movies.shape[1]), np.float32)
        for user, (start, end) in enumerate(zip(rows.indptr[:-1], rows.indptr[1:], strict=True)):
            if end > start:
                liked, c = self.movies[rows.columns[start:end]], confidence[start:end]
                found[user] = np.linalg.solve(gram + (liked.T * (c - 1)) @ liked, c @ liked)
        return found

    def contributions(self, liked: Array, confidence: Array, movies: Array) -> Float32:
        """Return how much of each movie's score each liked movie makes, (len(movies), n).

        The score of movie i is the sum over what the user likes of c_uj y_i' W_u y_j, with W_u the
        inverse in the equation above: section 5 of the paper. `liked` and `confidence` are (n,).
        """
        y = self.movies[liked]
        w = np.linalg.solve(self._gram() + (y.T * (confidence - 1)) @ y, y.T * confidence)
        found: Float32 = (self.movies[movies] @ w).astype(np.float32)
        return found

    def _gram(self) -> Array:
        # In double: a hundred thousand movies' products are summed.
        wide = self.movies.astype(np.float64)
        gram = wide.T @ wide
        gram[np.diag_indices_from(gram)] += self.regularization
        return gram
