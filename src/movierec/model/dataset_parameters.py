"""What a data set is made of, and how its interactions are weighed: its parameters."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Self

import numpy as np

from movierec.model import rating_scale
from movierec.model.rating_scale import RatingScale
from movierec.parameters import read_parameters, require

MAX_INTERACTIONS: Final = 50_000_000
"""Training and evaluating on these take 4.5 GB; a stream that grows is cut to its newest."""

MAX_DESCRIBED_USERS: Final = 200_000
"""What words mean is learned from far fewer; their texts take some 100 MB."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters of a data set; see `movierec.model.dataset`."""

    since: str = ""
    """Leave out events before this day (`2026-11-20`, UTC); empty: use all."""
    min_positive_rating: int = 3
    max_rating: int = 5
    min_watched_share: float = 0.1
    # One in 2,500 movie ids in the log is corrupt, and hardly ever twice in the same way.
    min_movie_users: int = 2
    held_out_share: float = 0.1
    min_users: int = 10
    min_interactions: int = 50
    site_min_rating: int = rating_scale.LOWEST
    site_max_rating: int = rating_scale.HIGHEST
    earliest_event_time: str = "2000-01-01"
    """Leave out events before this day as impossible."""
    max_interactions: int = MAX_INTERACTIONS
    """Leave out all but the newest, by the last event of each."""
    max_described_users: int = MAX_DESCRIBED_USERS
    """Leave out descriptions of all but those users with the most liked movies; 0: of all."""

    def __post_init__(self) -> None:
        """Raise UsageError for a value out of its range."""
        require(not self.since or _is_day(self.since), "since", self.since, "a day like 2026-11-20")
        scale = f"1 to max_rating ({self.max_rating})"
        least = self.min_positive_rating
        require(1 <= least <= self.max_rating, "min_positive_rating", least, scale)
        require(self.max_rating <= np.iinfo(np.int8).max, "max_rating", self.max_rating, "1 to 127")
        self._require_scale()
        earliest = self.earliest_event_time
        require(_is_day(earliest), "earliest_event_time", earliest, "a day like 2000-01-01")
        for name in ("min_watched_share", "held_out_share"):
            value = getattr(self, name)
            require(0 < value < 1, name, value, "more than 0, less than 1")
        for name in ("min_movie_users", "min_users", "min_interactions", "max_interactions"):
            value = getattr(self, name)
            require(value >= 1, name, value, "1 or more")
        most = self.max_described_users
        require(most >= 0, "max_described_users", most, "0 or more")

    def _require_scale(self) -> None:
        low, high = self.site_min_rating, self.site_max_rating
        most = np.iinfo(np.int16).max
        require(
            0 <= low < high <= most, "site_min_rating", low, f"0 up to site_max_rating ({high})"
        )
        native = self.scale.is_native or self.max_rating == rating_scale.HIGHEST
        expected = (
            f"{rating_scale.HIGHEST}, as ratings of {low} to {high} are mapped to 1 to 5 first"
        )
        require(native, "max_rating", self.max_rating, expected)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Return the parameters that an event gives, defaults for the rest. Raises UsageError."""
        return read_parameters(cls, values)

    @property
    def scale(self) -> RatingScale:
        """The site's rating scale."""
        return RatingScale(self.site_min_rating, self.site_max_rating)

    def to_json(self) -> dict[str, Any]:
        """Return the parameters by name, as `read` takes them.

        Those that came later are left out at their defaults: ids of before stay what they are.
        """
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        return {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if name not in _LATER or value != defaults[name]
        }


_LATER: Final = (
    "site_min_rating",
    "site_max_rating",
    "earliest_event_time",
    "max_interactions",
    "max_described_users",
)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
