"""A site's rating scale, and its ratings on the scale 1 to 5."""

import numpy as np
import pytest

from movierec.errors import ConfigError
from movierec.model.rating_scale import NATIVE, RatingScale


def scale(low="", high=""):
    return RatingScale.from_env({"MOVIEREC_MIN_RATING": low, "MOVIEREC_MAX_RATING": high})


def test_a_rating_of_ten_is_as_far_up_its_scale_as_five_is():
    found = scale(high="10").native(np.array([1, 5, 9, 10]))
    assert found.tolist() == pytest.approx([1, 2.78, 4.56, 5], abs=0.005)


def test_the_lowest_and_the_middle_of_a_scale_are_exact():
    assert scale("0", "10").native(np.array([0, 5, 10])).tolist() == [1, 3, 5]


def test_ratings_of_one_to_five_stay_as_they_are():
    ratings = np.array([1, 4, 5, 9], np.int16)
    assert scale() == NATIVE
    assert scale().native(ratings) is ratings


def test_ratings_from_before_the_scale_was_set_are_its_ends():
    assert scale("2", "10").native(np.array([1, 12])).tolist() == [1, 5]


@pytest.mark.parametrize("ends", [("5", "5"), ("6", ""), ("", "0"), ("0", "32768"), ("-1", "5")])
def test_a_scale_that_is_none_is_refused(ends):
    with pytest.raises(ConfigError, match="MOVIEREC_MIN_RATING"):
        scale(*ends)
