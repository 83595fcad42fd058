"""Kinds of log lines, named as the lake's `events.kind` names them."""

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a line says that a user did."""

    WATCH = "watch"
    RATE = "rate"
    RECOMMEND = "recommend"
    CREATE_ACCOUNT = "create_account"


KINDS: Final = tuple(Kind)
"""A kind's number in columns is its place here."""
