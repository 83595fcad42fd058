"""The site's rating scale: the setting that ingest and training read too."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from movierec import settings as product
from movierec.errors import ConfigError

_TEXT: Final = re.compile(r"(\d{1,3})-(\d{1,3})", re.ASCII)


@dataclass(frozen=True, slots=True)
class StarScale:
    """Whole ratings `lowest`..`highest`, with 0 as the lowest possible end."""

    lowest: int = 1
    highest: int = 5

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the scale that `1-10` means. Raises ValueError."""
        found = _TEXT.fullmatch(text)
        if found is None or int(found[1]) >= int(found[2]):
            raise ValueError(text)
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Return the scale of the environment. Raises ConfigError."""
        usual = cls()
        lowest = product.whole_number(env, product.MIN_RATING, usual.lowest)
        highest = product.whole_number(env, product.MAX_RATING, usual.highest)
        if lowest >= highest:
            raise ConfigError(
                f"{product.MIN_RATING}={lowest} is not below {product.MAX_RATING}={highest}: "
                "set both ends of the site's scale"
            )
        return cls(lowest, highest)

    def __contains__(self, rating: int) -> bool:
        return self.lowest <= rating <= self.highest

    def __str__(self) -> str:
        return f"{self.lowest}-{self.highest}"


ONE_TO_FIVE: Final = StarScale()
