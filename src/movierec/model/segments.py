"""User segments by gender and age band, for popular lists and for metrics."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from movierec.model.artifact import UNKNOWN_GROUP
from movierec.model.encoding import Array

LARGEST_USER_ID: Final = 16_000_000
"""Users with larger ids have no group: the array of groups by user id would not fit in memory."""

_AGE_BANDS: Final = ("0-17", "18-24", "25-34", "35-44", "45-54", "55+")
_AGE_LIMITS: Final = (18, 25, 35, 45, 55)
_GENDERS: Final = ("F", "M", "O")

LARGEST_AGE: Final = 120
"""In years, as old as people get; a larger one is a typing error, and counts as unknown."""

GROUPS: Final = (UNKNOWN_GROUP, *(f"{g}:{band}" for g in _GENDERS for band in _AGE_BANDS))
"""`<gender>:<age band>`; O is any gender but F and M, and none given. 0: no age known."""

MINORS: Final = tuple(group == UNKNOWN_GROUP or group.endswith(":0-17") for group in GROUPS)
"""For each of GROUPS, whether adult movies are kept from it."""


def group_of(ages: Array, genders: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return each user's index into GROUPS; an age outside 0..LARGEST_AGE is unknown."""
    names = np.asarray(genders, dtype=object)
    gender = np.where(names == "F", 0, np.where(names == "M", 1, 2))
    band = np.searchsorted(_AGE_LIMITS, ages, side="right")
    known = (ages >= 0) & (ages <= LARGEST_AGE)
    return np.where(known, 1 + gender * len(_AGE_BANDS) + band, 0).astype(np.uint8)


def groups_by_id(user_ids: Array, groups: Array) -> npt.NDArray[np.uint8]:
    """Return an array that has user i's group at i, 0 for every other id."""
    usable = (user_ids >= 0) & (user_ids <= LARGEST_USER_ID)
    ids = user_ids[usable]
    by_id = np.zeros(int(ids.max()) + 1 if len(ids) else 0, np.uint8)
    by_id[ids] = groups[usable]
    return by_id


def groups_of(user_ids: Array, by_id: Array) -> npt.NDArray[np.uint8]:
    """Return the group of each user, from an array made by `groups_by_id`."""
    known = (user_ids >= 0) & (user_ids < len(by_id))
    groups = np.zeros(len(user_ids), np.uint8)
    groups[known] = by_id[user_ids[known]]
    return groups
