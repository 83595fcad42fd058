"""Bootstrap intervals against the normal approximation and SciPy's bootstrap."""

import numpy as np
import pytest
from scipy import stats

from movierec.model import bootstrap

VALUES = np.random.default_rng(5).exponential(size=(400, 1))


def columns(*values):
    return np.column_stack([np.asarray(v, float) for v in values])


def test_the_standard_error_is_that_of_the_mean():
    found = bootstrap.resample(VALUES).interval(0)
    assert found.mean == pytest.approx(VALUES.mean())
    assert found.stderr == pytest.approx(VALUES.std(ddof=1) / 20, rel=0.08)
    assert found.users == 400


def test_the_interval_is_the_one_of_scipy():
    theirs = stats.bootstrap(
        (VALUES[:, 0],), np.mean, method="percentile", n_resamples=5_000, rng=1
    ).confidence_interval
    ours = bootstrap.resample(VALUES, resamples=5_000).interval(0)
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.06 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.06 * width)


def test_a_difference_is_paired():
    """Two columns that go up and down together: their difference is surer than either."""
    noise = np.random.default_rng(1).normal(size=1_000)
    found = bootstrap.resample(columns(noise + 0.01, noise))
    difference = found.difference(0, 1)
    assert difference.mean == pytest.approx(0.01)
    assert difference.low == pytest.approx(0.01, abs=1e-6)
    assert difference.high == pytest.approx(0.01, abs=1e-6)
    assert found.interval(0).stderr > 0.02


def test_the_interval_holds_the_mean_in_about_95_of_100_cases():
    rng = np.random.default_rng(2)
    intervals = [
        bootstrap.resample(rng.random((60, 1)), resamples=300, seed=n).interval(0)
        for n in range(200)
    ]
    assert 0.9 <= np.mean([found.low < 0.5 < found.high for found in intervals]) <= 0.99


def test_the_same_seed_gives_the_same_resamples():
    again = bootstrap.resample(VALUES, seed=3).samples
    assert (bootstrap.resample(VALUES, seed=3).samples == again).all()
    assert (bootstrap.resample(VALUES, seed=4).samples != again).any()


def test_many_users_are_drawn_in_parts():
    values = np.random.default_rng(0).random((5_000, 2))
    found = bootstrap.resample(values, resamples=500).interval(1)
    assert found.stderr == pytest.approx(values[:, 1].std() / np.sqrt(5_000), rel=0.15)


def test_one_user_has_a_value_and_no_error():
    found = bootstrap.resample(columns([0.25])).interval(0)
    assert (found.mean, found.low, found.high, found.stderr) == (0.25, 0.25, 0.25, 0)


def test_nobody_has_no_mean():
    with pytest.raises(ValueError, match="no users"):
        bootstrap.resample(np.zeros((0, 2)))


@pytest.mark.parametrize("users", [1, 3, 400])
@pytest.mark.parametrize("resamples", [1_000, 7])
def test_weights_are_poissons_of_the_generators_own_integers(resamples, users):
    values = np.random.default_rng(5).exponential(size=(users, 2))
    found = bootstrap.resample(values, resamples=resamples, seed=11)
    bits = np.random.default_rng(11).integers(0, 1 << 16, (resamples, users), np.uint16)
    weights = stats.poisson.ppf((bits + 0.5) / (1 << 16), 1)
    drawn = weights.sum(axis=1) > 0
    expected = (weights[drawn] @ values) / weights[drawn].sum(axis=1, keepdims=True)
    assert found.samples == pytest.approx(expected, rel=1e-4)
