"""Bounds on the canary's gain: what they are, whom they agree with, and when there are none."""

import math

import numpy as np
import pytest
import ville
from scipy import integrate

from movierec.errors import ArtifactError, UsageError
from movierec.releases import sequential_test
from movierec.releases.policy import Policy
from movierec.releases.sequential_test import Bounds, Trials

POLICY = Policy()


def trials(canary, hit, weight):
    weights = np.broadcast_to(np.asarray(weight, np.float64), len(canary)).copy()
    return Trials(np.array(canary, np.bool_), np.array(hit, np.bool_), weights)


def drawn(count, stable, canary, weight, seed=1):
    """Return trials whose hit rates and weights are given, each a number or (count,)."""
    rng = np.random.default_rng(seed)
    sent = rng.random(count) < weight
    return trials(sent, rng.random(count) < np.where(sent, canary, stable), weight)


# Verdicts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("canary", "count", "expected"),
    [
        (0.08, 100_000, "worse"),
        (0.12, 100_000, "fine"),
        (0.10, 300_000, "fine"),
        (0.10, 20_000, "unclear"),
    ],
)
def test_a_verdict_says_what_the_hit_rates_are(canary, count, expected):
    found = sequential_test.bounds(drawn(count, 0.10, canary, 0.05), POLICY)
    assert found.lower < canary - 0.10 < found.upper
    assert sequential_test.verdict(found, POLICY) == expected


def test_certainly_worse_beats_not_worse_by_the_margin():
    found = Bounds(effect=-0.004, lower=-0.006, upper=-0.002)
    assert sequential_test.verdict(found, POLICY) == "worse"


def test_looking_after_every_trial_aborts_no_more_than_alpha_of_identical_models():
    releases = [drawn(20_000, 0.10, 0.10, 0.25, seed=seed) for seed in range(200)]
    aborted = sum((sequential_test.running_bounds(one, POLICY).upper < 0).any() for one in releases)
    assert 0 < aborted / len(releases) <= POLICY.alpha


def test_a_hit_rate_that_falls_while_the_canary_grows_makes_equal_models_no_different():
    """The plain rates do differ: the canary gets more requests when the hit rate is low."""
    count = 60_000
    weight = np.repeat([0.05, 0.25, 0.5], count // 3)
    rate = np.linspace(0.15, 0.05, count)
    found = drawn(count, rate, rate, weight)
    plain = found.hit[found.canary].mean() - found.hit[~found.canary].mean()
    bounds = sequential_test.bounds(found, POLICY)
    assert plain < -0.02
    assert bounds.lower < 0 < bounds.upper
    assert abs(bounds.effect) < 0.005


def test_a_canary_without_luck_is_not_worse_yet():
    """No hit in 300 at a rate of 1 % happens to every twentieth canary."""
    stable_hits = np.arange(5_700) % 100 == 0
    found = trials(
        np.arange(6_000) % 20 == 0,
        np.insert(stable_hits, np.arange(300) * 19, values=False),
        0.05,
    )
    assert found.hit[found.canary].sum() == 0
    assert sequential_test.verdict(sequential_test.bounds(found, POLICY), POLICY) == "unclear"


# When there are none ------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("canary", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_one_side_alone_has_infinite_bounds(weight, canary, count):
    found = sequential_test.bounds(trials([canary] * count, [True] * count, weight), POLICY)
    assert (found.lower, found.upper) == (-math.inf, math.inf)
    assert math.isfinite(found.effect)
    assert sequential_test.verdict(found, POLICY) == "unclear"


@pytest.mark.parametrize("hit", [True, False])
def test_outcomes_that_are_all_alike_are_no_certainty(hit):
    """When no watch line arrives any more, no canary may pass as equal to stable."""
    found = drawn(20_000, float(hit), float(hit), 0.25)
    assert set(found.hit.tolist()) == {hit}
    bounds = sequential_test.bounds(found, POLICY)
    assert bounds.canary_trials > POLICY.min_trials
    assert sequential_test.verdict(bounds, POLICY) == "unclear"


def test_bounds_begin_when_the_smaller_side_has_its_trials():
    found = drawn(20_000, 0.10, 0.10, 0.05)
    running = sequential_test.running_bounds(found, POLICY)
    first = np.flatnonzero(np.isfinite(running.upper))[0]
    assert running.canary_trials[first] == POLICY.min_trials
    assert np.isfinite(running.upper[first:]).all()
    assert np.isneginf(running.lower[:first]).all()


def test_trials_that_were_not_randomized_carry_no_information():
    before = drawn(20_000, 0.10, 0.10, 0.05)
    known = sequential_test.bounds(before, POLICY)
    alone = trials([True] * 500, [False] * 500, 1.0)
    both = Trials(
        *(np.concatenate((getattr(before, name), getattr(alone, name)))
          for name in ("canary", "hit", "weight"))
    )  # fmt: skip
    assert sequential_test.bounds(both, POLICY) == known


@pytest.mark.parametrize("weight", [-0.1, 1.1, 5.0, math.nan])
def test_a_weight_that_is_no_probability_is_refused(weight):
    with pytest.raises(UsageError, match="not within 0 to 1"):
        trials([True], [True], weight)


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(UsageError, match="expected three times"):
        Trials(np.zeros(2, np.bool_), np.zeros(3, np.bool_), np.zeros(2))


# Agreement with others ----------------------------------------------------------------------


def test_the_effect_is_the_one_of_another_authors_library():
    """Its pseudo-outcomes are ours divided by w (1 - w), which cancels while w is constant."""
    found = drawn(5_000, 0.10, 0.12, 0.25)
    theirs = ville.AsymptoticABTest(propensity=0.25).fit(
        found.hit.astype(float), found.canary.astype(float)
    )
    ours = sequential_test.running_bounds(found, POLICY)
    np.testing.assert_allclose(ours.effect, theirs.estimate_, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("alpha", "outside"), [(0.01, 1.003), (0.05, 1.02), (0.1, 1.05)])
def test_the_boundary_is_never_inside_the_exact_one_and_close_to_it(alpha, outside):
    policy = Policy(alpha=alpha)
    information = np.geomspace(1e-3, 1e8, 500)
    rho = sequential_test.tuning_parameter(policy.sharpest_at_trials, alpha)
    exact = ville.normal_mixture(information, alpha, rho, one_sided=True)
    ratio = sequential_test.boundary(information, policy) / exact
    assert ratio.min() >= 1
    assert ratio.max() <= outside


@pytest.mark.parametrize("information", [1.0, 300.0, 3_000.0, 100_000.0])
def test_at_the_boundary_the_mixture_is_worth_one_over_alpha(information):
    """By numerical integration over the half normal prior; the excess is the closed form's 2."""
    rho = sequential_test.tuning_parameter(POLICY.sharpest_at_trials, POLICY.alpha)
    score = float(sequential_test.boundary(np.array([information]), POLICY)[0])

    def bet(rate):
        prior = 2 * math.sqrt(rho / (2 * math.pi)) * math.exp(-rho * rate * rate / 2)
        return prior * math.exp(rate * score - rate * rate * information / 2)

    peak, width = score / (information + rho), 1 / math.sqrt(information + rho)
    worth = integrate.quad(bet, 0, peak + 12 * width, points=[peak])[0]
    scale = math.sqrt(rho / (information + rho))
    assert 1 / POLICY.alpha <= worth <= 1 / POLICY.alpha + 2 * scale


def test_the_boundary_is_sharpest_where_the_policy_says():
    """Within a thousandth of the best that any choice of the mixture gives there."""
    for wanted in (100, 3_000, 50_000):
        rho = sequential_test.tuning_parameter(wanted, POLICY.alpha)
        best = ville.best_rho(wanted, POLICY.alpha, one_sided=True)
        ours, theirs = (
            float(ville.normal_mixture(float(wanted), POLICY.alpha, each, one_sided=True))
            for each in (rho, best)
        )
        assert theirs <= ours <= 1.001 * theirs


def test_the_radius_is_the_boundary_in_units_of_the_effect():
    found = drawn(30_000, 0.10, 0.09, 0.25)
    bounds = sequential_test.bounds(found, POLICY)
    information = found.weight * (1 - found.weight)
    hits = np.cumsum(found.hit) - found.hit
    surprise = found.hit - hits / np.maximum(np.arange(len(found)), 1)
    pooled = (information * surprise**2).sum()
    squares = (((found.canary - found.weight) * surprise) ** 2).sum()
    total = information.sum()
    deviation = math.sqrt(max(pooled, squares) / total)
    radius = deviation * sequential_test.boundary(np.array([total]), POLICY)[0] / total
    assert bounds.upper - bounds.effect == pytest.approx(radius, rel=1e-9)
    assert bounds.effect - bounds.lower == pytest.approx(radius, rel=1e-9)


# Bytes --------------------------------------------------------------------------------------


def test_packed_trials_are_small_and_the_same_twice():
    found = drawn(100_000, 0.10, 0.10, np.repeat([0.05, 0.25], 50_000))
    body = sequential_test.pack(found)
    assert body == sequential_test.pack(found)
    assert len(body) < 25_000


@pytest.mark.parametrize(
    "body",
    [b"", b"no zip", b"PK\x05\x06" + bytes(18), sequential_test.pack(trials([], [], 0.0))[:-40]],
)
def test_bytes_that_are_no_trials_are_refused(body):
    with pytest.raises(ArtifactError, match="cannot be read"):
        sequential_test.unpack(body)
