"""Limits of a data set's quality, all of them, each with its reason.

Hard ones stop the retraining: what is built past them would train a worse model in silence. Soft
ones are warnings in the report. An event may give others (`limits`), which its manifest keeps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from movierec.parameters import read_parameters, require

# The site repeats some lines when it writes to Kafka again, and ingest drops those that it sees.
DUPLICATES_WARN: Final = 0.01
REFERENCES_WARN: Final = 0.05
NEW_TITLES_WARN: Final = 0.3
"""A catalog that is replaced by a third between two releases is a new site, or ids have changed."""

LEAST_DAYS: Final = 7.0
"""Of hours of the day and kinds of events: a week has each of its days once, a part of it not."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The hard limits: shares, 0 to 1."""

    required_kinds: tuple[str, ...] = ("watch",)
    """Nothing is watched: the site's log or its format has changed. Of other kinds there may be
    none, unless the released data set had some."""
    duplicate_share: float = 0.1
    """A tenth of events twice: a topic is read twice, or a dump was loaded over it."""
    violation_share: float = 0.01
    """Ingest refuses each such row: a hundredth of them has come past it, or by other code."""
    outside_scale_share: float = 0.001
    """Ingest refuses these too. Ratings of 1 to 10 read as 1 to 5 all count as liking."""
    unknown_movie_share: float = 0.5
    """Lines of unknown movies wait outside of the lake: half of them in it is another catalog."""
    unknown_user_share: float = 0.5
    """Only if the released data set had fewer: the users of a new site are asked for by and by."""

    def __post_init__(self) -> None:
        """Raise UsageError for a share that is none."""
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if isinstance(value, float):
                require(0 <= value <= 1, name, value, "a share, 0 to 1")

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Return the limits that an event gives, defaults for the rest. Raises UsageError."""
        return read_parameters(cls, values)


DEFAULT: Final = Limits()
