"""Every user has one group, and a user who may be a minor counts as one."""

import numpy as np
import pytest

from movierec.model import segments
from movierec.model.segments import GROUPS, MINORS


@pytest.mark.parametrize(
    ("age", "gender", "expected"),
    [
        (0, "F", "F:0-17"),
        (17, "M", "M:0-17"),
        (18, "F", "F:18-24"),
        (34, "M", "M:25-34"),
        (55, "F", "F:55+"),
        (120, "", "O:55+"),
        (30, "other", "O:25-34"),
        (-1, "F", "unknown"),
        (121, "M", "unknown"),
    ],
)
def test_a_group_is_gender_and_age_band(age, gender, expected):
    assert GROUPS[segments.group_of(np.array([age]), [gender])[0]] == expected


def test_exactly_those_who_may_be_under_18_are_minors():
    ages = np.arange(-1, 125)
    groups = segments.group_of(ages, ["F"] * len(ages))
    assert np.array_equal(np.asarray(MINORS)[groups], (ages < 18) | (ages > 120))


def test_group_0_is_unknown_and_groups_fit_one_byte():
    assert GROUPS[0] == "unknown"
    assert len(GROUPS) == len(set(GROUPS)) == len(MINORS) <= 256


def test_ids_that_no_one_told_of_are_unknown():
    by_id = segments.groups_by_id(np.array([2, 5]), np.array([3, 4], np.uint8))
    assert by_id.tolist() == [0, 0, 3, 0, 0, 4]
    assert segments.groups_of(np.array([5, 6, -1, 2]), by_id).tolist() == [4, 0, 0, 3]


def test_one_absurd_id_does_not_fill_the_memory():
    by_id = segments.groups_by_id(np.array([1, 2**40]), np.array([3, 4], np.uint8))
    assert len(by_id) == 2


def test_without_users_there_are_no_groups():
    assert len(segments.groups_by_id(np.zeros(0, np.int64), np.zeros(0, np.uint8))) == 0
