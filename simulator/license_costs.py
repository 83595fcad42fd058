"""License costs: what the site pays for each play of a film, in USD."""

import math
from random import Random
from typing import Final

from simulator.film_catalog import LAST_YEAR
from simulator.film_titles import UNKNOWN_YEAR
from simulator.synthetic_world import World

_LEAST: Final = 0.05
_FOR_NEW: Final = 2.0
_FOR_POPULAR: Final = 1.5
# Years in which a license loses two thirds of what it costs for being new.
_FADES_IN_YEARS: Final = 12.0
# A film of unknown year is priced as an old one.
_UNKNOWN_AGE: Final = 40
# Popularity is counted on a logarithmic scale, from a ten-thousandth of the best-known film's.
_DECADES: Final = 4.0
_NOISE: Final = 0.15


def usd_per_play(world: World, index: int) -> float:
    """Return the cost of one play of a film, by row: old and unpopular ones are cheaper."""
    year = world.films.titles[index].year
    age = _UNKNOWN_AGE if year == UNKNOWN_YEAR else max(LAST_YEAR + 1 - year, 0)
    popularity = float(world.preferences.popularity[index])
    known = min(max(1 + math.log10(max(popularity, 1e-9)) / _DECADES, 0.0), 1.0)
    cost = _LEAST + _FOR_NEW * math.exp(-age / _FADES_IN_YEARS) + _FOR_POPULAR * known**2
    return round(cost * Random(f"cost {index} {year}").lognormvariate(0, _NOISE), 2)
