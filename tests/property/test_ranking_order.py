"""The fast ways of ordering agree with the obvious ones."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from movierec.model import artifact, ranking
from movierec.model.ranking import Recommender

SCORES = st.lists(st.integers(-5, 5), max_size=60)


@given(SCORES, st.integers(0, 70))
def test_top_k_is_a_full_sort_cut_off(scores, k):
    found = ranking.top_k(np.array(scores, np.float64), k).tolist()
    assert found == sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:k]


@given(st.lists(st.lists(st.booleans(), min_size=8, max_size=8), max_size=6), st.integers(1, 12))
def test_compact_keeps_order_and_pads_the_end(keep, k):
    mask = np.array(keep, bool).reshape(len(keep), 8)
    indices = np.tile(np.arange(8), (len(keep), 1))
    rows = ranking.compact(indices, mask, k=k, dtype=np.dtype(np.uint32)).tolist()
    for kept, row in zip(keep, rows, strict=True):
        wanted = [i for i, wanted in enumerate(kept) if wanted][:k]
        assert row == wanted + [2**32 - 1] * (k - len(wanted))


@given(st.sets(st.integers(0, 2**63 - 1), max_size=30), st.integers(-5, 2**64))
def test_exactly_the_users_of_the_model_are_answered_by_it(known, asked):
    ids = np.array(sorted(known), np.int64)
    topk = np.zeros((len(ids), artifact.TOP_K), np.uint16)
    groups = np.zeros(0, np.uint8)
    recommender = Recommender({}, ["m"], ["unknown"], [("p",)], ("p",), ids, groups, topk)
    for user_id in {asked, *known}:
        found = recommender.recommend(user_id)
        assert (found.source == "model") == (user_id in known)
        assert found.known_user == (user_id in known)


@given(
    st.lists(st.lists(st.integers(0, 1000), min_size=5, max_size=5), min_size=1, max_size=4),
    st.lists(st.booleans(), min_size=5, max_size=5),
    st.data(),
)
def test_no_list_for_minors_ever_holds_an_adult_movie(counts, adult, data):
    minors = data.draw(st.lists(st.booleans(), min_size=len(counts), max_size=len(counts)))
    found = ranking.popular_lists(np.array(counts), adult=np.array(adult), minors=np.array(minors))
    forbidden = {i for i, grown in enumerate(adult) if grown}
    safe = [found.kids, *(g for g, minor in zip(found.groups, minors, strict=True) if minor)]
    assert all(forbidden.isdisjoint(movies.tolist()) for movies in safe)
    assert sorted(found.overall.tolist()) == list(range(5))
