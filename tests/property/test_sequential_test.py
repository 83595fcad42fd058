"""Bounds, sums and packed trials for any trials at all."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from movierec.errors import ArtifactError
from movierec.releases import sequential_test
from movierec.releases.policy import Policy
from movierec.releases.sequential_test import Trials

EAGER = Policy(min_trials=1)
WEIGHTS = st.sampled_from([0.0, 0.05, 0.25, 0.5, 1.0]) | st.floats(0, 1)
# The alias keeps eight digits; nearer to 0 or 1, 1 - w is rounded.
USUAL_WEIGHTS = st.sampled_from([0.0, 0.05, 0.25, 0.5, 1.0]) | st.floats(1e-3, 1 - 1e-3)


@st.composite
def any_trials(draw, weights=WEIGHTS):
    rows = draw(st.lists(st.tuples(st.booleans(), st.booleans(), weights), max_size=60))
    return Trials(
        np.array([row[0] for row in rows], np.bool_),
        np.array([row[1] for row in rows], np.bool_),
        np.array([row[2] for row in rows], np.float64),
    )


def part(trials, begin, end):
    return Trials(trials.canary[begin:end], trials.hit[begin:end], trials.weight[begin:end])


@given(any_trials())
def test_bounds_are_ordered_and_never_nan(trials):
    found = sequential_test.running_bounds(trials, EAGER)
    assert np.isfinite(found.effect).all()
    assert (found.lower <= found.effect).all()
    assert (found.effect <= found.upper).all()


@given(any_trials(), st.data())
def test_no_bound_knows_what_comes_later(trials, data):
    end = data.draw(st.integers(0, len(trials)))
    running = sequential_test.running_bounds(trials, EAGER)
    last = sequential_test.bounds(part(trials, 0, end), EAGER)
    if end:
        assert (last.lower, last.upper) == (running.lower[end - 1], running.upper[end - 1])
    else:
        assert last == sequential_test.Bounds()


@given(any_trials(), st.data())
def test_sums_go_on_where_others_ended(trials, data):
    cut = data.draw(st.integers(0, len(trials)))
    whole = sequential_test.running_sums(trials)
    before = sequential_test.running_sums(part(trials, 0, cut)) if cut else None
    after = sequential_test.running_sums(part(trials, cut, len(trials)), before)
    for name in ("trials", "hits", "canary_trials", "score", "information", "squares", "pooled"):
        np.testing.assert_allclose(getattr(after, name), getattr(whole, name)[cut:], atol=1e-9)


@given(any_trials(USUAL_WEIGHTS))
def test_swapping_the_sides_swaps_the_bounds(trials):
    there = sequential_test.bounds(trials, EAGER)
    back = sequential_test.bounds(Trials(~trials.canary, trials.hit, 1 - trials.weight), EAGER)
    np.testing.assert_allclose(
        [there.effect, there.lower, there.upper],
        [-back.effect, -back.upper, -back.lower],
        rtol=1e-6,
        atol=1e-9,
    )


@given(any_trials())
def test_unpack_gives_back_what_was_packed(trials):
    found = sequential_test.unpack(sequential_test.pack(trials))
    for name in ("canary", "hit", "weight"):
        ours, theirs = getattr(found, name), getattr(trials, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


@given(any_trials(), st.data())
def test_damaged_bytes_are_refused_or_read_never_worse(trials, data):
    body = bytearray(sequential_test.pack(trials))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= data.draw(st.integers(1, 255))
    try:
        found = sequential_test.unpack(bytes(body))
    except ArtifactError:
        return
    assert len(found.canary) == len(found.hit) == len(found.weight)
