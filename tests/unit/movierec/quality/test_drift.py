"""PSI and KS against sums by hand and another library; thresholds against what chance does."""

import math

import numpy as np
import pytest
from scipy import stats

from movierec.quality import drift
from movierec.quality.drift import Histogram


def histogram(counts, *, units=None, ordered=True, stops=True):
    named = {str(i): n for i, n in enumerate(counts) if n}
    return Histogram(named, sum(counts) if units is None else units, ordered, stops)


def test_psi_is_the_sum_made_by_hand():
    before, now = np.array([50.0, 30.0, 20.0]), np.array([40.0, 30.0, 30.0])
    by_hand = (0.4 - 0.5) * math.log(0.4 / 0.5) + (0.3 - 0.2) * math.log(0.3 / 0.2)
    assert drift.psi(before, now) == pytest.approx(by_hand)
    assert drift.psi(now, before) == pytest.approx(by_hand)


def test_a_bin_that_was_empty_counts_as_a_ten_thousandth():
    before, now = np.array([100.0, 0.0]), np.array([90.0, 10.0])
    by_hand = (0.9 - 1) * math.log(0.9) + (0.1 - 0.0001) * math.log(0.1 / 0.0001)
    assert drift.psi(before, now) == pytest.approx(by_hand)


# Counts of two samples; PSI and p-value of KS by Evidently 0.7.23's psi_stat_test, ks_stat_test.
OF_EVIDENTLY = [
    (
        [142, 297, 610, 1033, 918],
        [203, 312, 546, 535, 404],
        0.15035893530640476,
        9.912195926015443e-35,
    ),
    ([1433, 966, 601, 0], [811, 572, 389, 228], 0.8179783154650873, 5.068293225507757e-14),
    ([582, 887, 1531], [383, 601, 1016], 0.00012149153967911221, 1.0),
]


@pytest.mark.parametrize(("before", "now", "psi", "p_value"), OF_EVIDENTLY)
def test_psi_and_ks_are_evidentlys(before, now, psi, p_value):
    left, right = np.array(before, float), np.array(now, float)
    assert drift.psi(left, right) == pytest.approx(psi, rel=1e-9)
    ours = drift.ks(left, right, sum(before), sum(now))[1]
    # Theirs is scipy's exact distribution, ours its limit: the same to the order of magnitude.
    assert np.log10(ours) == pytest.approx(np.log10(p_value), abs=1)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_ks_is_scipys(seed, shift):
    rng = np.random.default_rng(seed)
    left = np.clip(np.round(rng.normal(5, 2, 700)), 0, 10).astype(int)
    right = np.clip(np.round(rng.normal(5 + shift, 2, 900)), 0, 10).astype(int)
    one, other = (np.bincount(side, minlength=11).astype(float) for side in (left, right))
    distance, p_value = drift.ks(one, other, 700, 900)
    theirs = stats.ks_2samp(left, right, method="asymp")
    assert distance == pytest.approx(theirs.statistic, abs=1e-12)
    assert p_value == pytest.approx(theirs.pvalue, abs=0.02)


def test_what_chance_does_is_the_chi_squared_quantile():
    for bins in (2, 5, 20):
        exact = stats.chi2.ppf(0.999, bins - 1) * (1 / 300 + 1 / 500)
        assert drift._by_chance(bins, 300, 500) == pytest.approx(exact, rel=0.06)


@pytest.mark.parametrize("units", [200, 1000, 50_000])
def test_two_samples_of_one_population_are_hardly_ever_drift(units):
    rng = np.random.default_rng(units)
    shares = [0.06, 0.11, 0.26, 0.35, 0.22]
    flagged = 0
    for _ in range(500):
        one, other = (histogram(rng.multinomial(units, shares).tolist()) for _ in range(2))
        flagged += drift.compare("ratings", one, other).level != "same"
    assert flagged <= 3


def test_ratings_that_moved_up_are_drift():
    before, now = histogram([60, 110, 260, 350, 220]), histogram([10, 40, 110, 300, 540])
    found = drift.compare("ratings", before, now)
    assert (found.level, found.unseen) == ("stop", ())
    assert found.psi > drift.PSI_STOP
    assert found.ks == pytest.approx(0.32)
    assert drift.compare("ratings", before, histogram([10, 40, 110, 300, 540], stops=False)).level
    assert "PSI" in found.text


def test_a_large_drift_of_what_may_drift_is_a_warning():
    before, now = histogram([60, 110, 260]), histogram([260, 110, 60], stops=False)
    assert drift.compare("activity", before, now).level == "warn"


def test_a_significant_difference_of_millions_that_means_nothing_is_no_drift():
    before = histogram([500_000, 500_000])
    found = drift.compare("ratings", before, histogram([505_000, 495_000]))
    assert found.p_value == pytest.approx(0, abs=1e-6)
    assert found.level == "same"


def test_values_of_no_count_before_are_named():
    before = histogram([500, 500], ordered=False)
    found = drift.compare("genres", before, histogram([480, 490, 30], ordered=False))
    assert (found.level, found.unseen) == ("warn", ("2",))
    assert found.unseen_share == pytest.approx(0.03)
    assert found.ks is None
    assert "new values 2" in found.text


def test_of_a_handful_of_users_nothing_is_said():
    before, now = histogram([60, 40], units=100), histogram([10, 90], units=10_000)
    assert drift.compare("ages", before, now).level == "same"


@pytest.mark.parametrize("side", [0, 1])
def test_without_counts_on_a_side_nothing_is_said(side):
    both = [histogram([5, 5]), histogram([5, 5])]
    both[side] = Histogram({}, 0)
    assert drift.compare("ages", *both).level == "same"


def test_numbers_are_in_their_order_not_in_that_of_their_text():
    before = Histogram({"9": 50, "10": 50}, 100, ordered=True)
    now = Histogram({"10": 100}, 100, ordered=True)
    assert drift.compare("ratings", before, now).ks == pytest.approx(0.5)


def test_a_histogram_comes_back_from_json():
    given = Histogram({"a": 1, "b": 2.5}, 3, ordered=False, stops=False)
    assert Histogram.read(given.to_json()) == given
