"""Parse and validate user ids."""

import re
from typing import Final

LARGEST_USER_ID: Final = 2**63 - 1
"""The largest int64, the type of the lake's columns and the model's arrays."""

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
