"""Parse and validate user ids, and find them."""

import re
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from movierec import settings
from movierec.errors import ConfigError
from movierec.model.encoding import Array

LARGEST_USER_ID: Final = 2**63 - 1
"""The largest int64, the type of the lake's columns and the model's arrays."""

LARGEST_MAX_USER_ID: Final = 10**18 - 1
"""The largest value of the setting: a line's id has up to 18 digits."""

_DEFAULT_MAX_USER_ID: Final = 1_000_000

# int() alone accepts `007`, `+7` and digits of every script: user 7 under other names in the logs.
_CANONICAL: Final = re.compile(r"[1-9][0-9]{0,18}")


def parse_user_id(text: str) -> int | None:
    """Return the id in a decimal text, None unless it is one from 1 to LARGEST_USER_ID.

    Canonical decimals only, without a leading zero: as the site writes them.
    """
    if _CANONICAL.fullmatch(text) is None:
        return None
    user_id = int(text)
    return user_id if user_id <= LARGEST_USER_ID else None


def max_user_id(env: Mapping[str, str]) -> int:
    """Return the site's largest user id, a million by default. Raises ConfigError."""
    found = settings.whole_number(env, settings.MAX_USER_ID, _DEFAULT_MAX_USER_ID)
    if not 1 <= found <= LARGEST_MAX_USER_ID:
        raise ConfigError(f"{settings.MAX_USER_ID} is {found}: expected 1 to {LARGEST_MAX_USER_ID}")
    return found


def row_of(user_ids: Array, user_id: int) -> int | None:
    """Return where a user stands in ascending ids (n,) int64, None if it does not."""
    if not 0 <= user_id <= LARGEST_USER_ID:
        return None
    # With a Python int numpy would convert the whole array: 421 us instead of 0.5.
    row = int(user_ids.searchsorted(np.int64(user_id)))
    return row if row < len(user_ids) and user_ids[row] == user_id else None


def rows_of(user_ids: Array, users: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return where users (m,) stand in ascending ids (n,), and whether they do; (m,) both."""
    if not len(user_ids):
        return np.zeros(len(users), np.int64), np.zeros(len(users), np.bool_)
    rows = np.minimum(np.searchsorted(user_ids, users), len(user_ids) - 1)
    return rows, user_ids[rows] == users
