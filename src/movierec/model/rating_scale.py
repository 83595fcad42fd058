"""The site's rating scale, and its ratings on the scale 1 to 5 that the model is made for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from movierec import settings
from movierec.errors import ConfigError
from movierec.model.encoding import Array

LOWEST: Final = 1
HIGHEST: Final = 5

# The type of the lake's column.
_LARGEST_RATING: Final = int(np.iinfo(np.int16).max)


@dataclass(frozen=True, slots=True)
class RatingScale:
    """The lowest and the highest rating of a site. A lowest rating of 0 is a rating."""

    lowest: int = LOWEST
    highest: int = HIGHEST

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Return the scale that the settings name, 1 to 5 by default. Raises ConfigError."""
        lowest = settings.whole_number(env, settings.MIN_RATING, LOWEST)
        highest = settings.whole_number(env, settings.MAX_RATING, HIGHEST)
        if not lowest < highest <= _LARGEST_RATING:
            raise ConfigError(
                f"{settings.MIN_RATING} is {lowest} and {settings.MAX_RATING} is {highest}:"
                f" expected the lowest and the highest rating, 0 to {_LARGEST_RATING:,},"
                " the lowest the smaller"
            )
        return cls(lowest, highest)

    def __contains__(self, rating: int) -> bool:
        """Whether a rating is on the scale."""
        return self.lowest <= rating <= self.highest

    def __str__(self) -> str:
        return f"{self.lowest}-{self.highest}"

    @property
    def is_native(self) -> bool:
        """Whether ratings need no mapping."""
        return (self.lowest, self.highest) == (LOWEST, HIGHEST)

    def native(self, ratings: Array) -> Array:
        """Return ratings on the scale 1 to 5, linearly: 9 of 1 to 10 is 4.56.

        Those outside of the site's scale, from before it was set, count as its nearest end. On the
        scale 1 to 5 they are returned as they are.
        """
        if self.is_native:
            return ratings
        within = np.clip(ratings, self.lowest, self.highest).astype(np.float64) - self.lowest
        # Multiplied first: the middle of a scale is 3 exactly.
        share: npt.NDArray[np.float64] = (HIGHEST - LOWEST) * within / (self.highest - self.lowest)
        return LOWEST + share


NATIVE: Final = RatingScale()
"""The scale 1 to 5."""
