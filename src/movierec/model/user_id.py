"""What a user id is: one rule for every door that takes one."""

import re
from typing import Final

LARGEST_USER_ID: Final = 2**63 - 1
"""What the lake's columns and the model's arrays hold."""

# `007` or `+7` would be user 7 under another name in every log, and int() alone takes both, and
# digits of every script.
_CANONICAL: Final = re.compile(r"[1-9][0-9]{0,18}")


def parse_user_id(text: str) -> int | None:
    """Return the id in a decimal text, None unless it is one from 1 to LARGEST_USER_ID.

    Canonical decimals only, without a leading zero: as the site writes them.
    """
    if _CANONICAL.fullmatch(text) is None:
        return None
    user_id = int(text)
    return user_id if user_id <= LARGEST_USER_ID else None
