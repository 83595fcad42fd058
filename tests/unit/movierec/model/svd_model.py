"""A fitted model for tests: truncated SVD of the dense matrix of likes, by numpy alone."""

import numpy as np

from movierec.model.fitted import Factors, top_of
from movierec.model.sparse_rows import row_numbers


class SvdModel:
    """Scores by the best approximation of rank `rank` (Eckart & Young 1936)."""

    def __init__(self, dataset, keep, rank=3):
        likes = np.zeros((len(dataset.user_ids), len(dataset.movie_ids)), np.float32)
        liked = keep & (dataset.strength > 0)
        likes[row_numbers(dataset.indptr)[liked], dataset.movies[liked]] = 1
        u, s, vt = np.linalg.svd(likes, full_matrices=False)
        self.factors = Factors(u[:, :rank] * s[:rank], vt[:rank].T)

    def top(self, users, k, exclusions):
        return top_of(
            lambda rows: self.factors.users[rows] @ self.factors.movies.T, users, k, exclusions
        )

    def pair_scores(self, users, movies):
        return (self.factors.users[users] * self.factors.movies[movies]).sum(axis=1)
