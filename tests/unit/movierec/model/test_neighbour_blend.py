"""The blend of users who were folded in, against the sums written out user by user."""

import numpy as np
import pytest

from movierec.model.fitted import Exclusions
from movierec.model.item_neighbours import NEIGHBOURS, ItemNeighbours
from movierec.model.neighbour_blend import NeighbourBlend
from movierec.model.sparse_rows import SparseRows

N_USERS, N_MOVIES, RANKED, K = 40, 30, 20, 4


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(6)
    movies = np.sort(rng.permutation(N_MOVIES)[:RANKED])
    weights = np.maximum(rng.normal(size=(RANKED, RANKED)), 0).astype(np.float32)
    np.fill_diagonal(weights, 0)
    neighbours = ItemNeighbours.strongest(movies, weights, N_MOVIES)
    assert NEIGHBOURS >= RANKED
    likes = rng.integers(1, 90, N_MOVIES)
    blend = NeighbourBlend.of(
        neighbours, likes, als_share=0.6, popularity_exponent=0.3, strength_share=0.5
    )
    factors = tuple(rng.normal(size=(n, K)).astype(np.float32) for n in (N_USERS, N_MOVIES))
    seen = rng.random((N_USERS, N_MOVIES)) < 0.2
    rows, columns = np.nonzero(seen)
    indptr = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=N_USERS))))
    liked = SparseRows(indptr, columns.astype(np.int32))
    return (
        blend,
        factors,
        liked,
        rng.random(len(columns)).astype(np.float32),
        movies,
        weights,
        likes,
    )


def standardised(scores, others):
    # Scores that are all alike say nothing.
    return (scores - scores[others].mean()) / max(scores[others].std(), 1e-6)


def by_hand(case, user):
    """Return the user's blended score of each ranked movie."""
    _, (users, items), liked, strength, movies, weights, likes = case
    own = slice(liked.indptr[user], liked.indptr[user + 1])
    entries = dict(zip(liked.columns[own].tolist(), strength[own].tolist(), strict=True))
    discount = likes[movies] ** -0.3
    discount = discount / discount.mean()
    others = np.array([movie not in entries for movie in movies.tolist()])
    by_factors = items[movies] @ users[user] * discount
    x = np.array([0.5 + 0.5 * entries[m] if m in entries else 0 for m in movies.tolist()])
    by_items = x @ weights * discount
    share = 0.4 * len(entries) / (len(entries) + 4)
    by_both = standardised(by_factors, others), standardised(by_items, others)
    return (1 - share) * by_both[0] + share * by_both[1]


def test_lists_are_in_the_order_of_the_blended_scores(case):
    blend, factors, liked, strength, movies, *_ = case
    nobody = np.zeros(N_USERS, bool)
    exclusions = Exclusions(liked, nobody, np.zeros(0, np.int32))
    found = blend.top(factors, liked, strength, 10, exclusions)
    for user in range(N_USERS):
        seen = set(liked.columns[liked.indptr[user] : liked.indptr[user + 1]].tolist())
        order = movies[np.argsort(-by_hand(case, user), kind="stable")].tolist()
        assert found[user].tolist() == [m for m in order if m not in seen][:10]


def test_minors_get_no_adult_movie(case):
    blend, factors, liked, strength, movies, *_ = case
    adult = movies[:5].astype(np.int32)
    exclusions = Exclusions(liked, np.arange(N_USERS) % 2 == 0, adult)
    found = blend.top(factors, liked, strength, RANKED, exclusions)
    assert not np.isin(found[::2], adult).any()
    assert np.isin(found[1::2], adult).any()
