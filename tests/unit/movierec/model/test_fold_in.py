"""A folded-in user against the equation, written out in full."""

import numpy as np

from movierec.model.fold_in import FoldIn
from movierec.model.sparse_rows import SparseRows

RNG = np.random.default_rng(5)
Y = RNG.normal(size=(7, 3)).astype(np.float32)
ROWS = SparseRows(np.array([0, 3, 3, 4]), np.array([1, 4, 6, 0], np.int32))
C = np.array([2.0, 4.0, 1.5, 3.0], np.float32)


def by_the_equation(liked, confidence):
    """Solve x = (Y'CY + lambda I)^-1 Y'C p, with C and p of all movies."""
    c, p = np.ones(7), np.zeros(7)
    c[liked], p[liked] = confidence, 1
    y = Y.astype(np.float64)
    return np.linalg.solve(y.T @ np.diag(c) @ y + 0.5 * np.eye(3), y.T @ np.diag(c) @ p)


def test_factors_solve_the_equation():
    found = FoldIn(Y, 0.5).factors(ROWS, C)
    np.testing.assert_allclose(found[0], by_the_equation([1, 4, 6], C[:3]), rtol=1e-4)
    np.testing.assert_array_equal(found[1], np.zeros(3))
    np.testing.assert_allclose(found[2], by_the_equation([0], C[3:]), rtol=1e-4)


def test_contributions_sum_to_the_score():
    fold_in = FoldIn(Y, 0.5)
    parts = fold_in.contributions(ROWS.columns[:3], C[:3], np.arange(7))
    assert parts.shape == (7, 3)
    np.testing.assert_allclose(parts.sum(axis=1), Y @ fold_in.factors(ROWS, C)[0], rtol=1e-4)
