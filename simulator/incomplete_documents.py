"""Documents of which fields are missing, empty or of another type, the same ones each time."""

import functools
from collections.abc import Mapping
from random import Random
from typing import Any, Final

from simulator.film_catalog import FilmCatalog
from simulator.film_titles import UNKNOWN_YEAR

Document = dict[str, Any]

_MOVIE_FIELDS: Final = ("runtime", "genres", "release_date", "adult")
_USER_FIELDS: Final = ("occupation", "gender")


def movie(found: Document, index: int, year: int, share: float) -> Document:
    """Return a movie's document, of this share of the movies an incomplete one."""
    rng, fields = _spoilt("movie", index, _MOVIE_FIELDS, share)
    if "runtime" in fields:
        found["runtime"] = None
    if "genres" in fields and rng.random() < 0.5:  # noqa: PLR2004  either is as likely
        del found["genres"]
    elif "genres" in fields:
        found["genres"] = [genre["name"] for genre in found["genres"]]
    if "release_date" in fields:
        found["release_date"] = None if year == UNKNOWN_YEAR else str(year)
    if "adult" in fields:
        found["adult"] = found["adult"] == "True"
    return found


def user(found: Document, index: int, share: float) -> Document:
    """Return a user's document, of this share of the users an incomplete one."""
    _, fields = _spoilt("user", index, _USER_FIELDS, share)
    if "occupation" in fields:
        del found["occupation"]
    if "gender" in fields:
        found["gender"] = found["gender"].lower()
    return found


def runtimes(films: FilmCatalog, share: float) -> Mapping[str, int]:
    """Return the runtimes that a reader of the documents knows, 0 for those it does not."""
    if not share:
        return films.runtimes
    lengths = enumerate(films.runtimes.items())
    return {name: 0 if _lacks_runtime(i, share) else length for i, (name, length) in lengths}


# A catalog that grows is gone through again whenever a film has come.
@functools.cache
def _lacks_runtime(index: int, share: float) -> bool:
    return "runtime" in _spoilt("movie", index, _MOVIE_FIELDS, share)[1]


def _spoilt(
    kind: str, index: int, fields: tuple[str, ...], share: float
) -> tuple[Random, list[str]]:
    """Return a generator of the document's own, and the fields that it spoils: one or more."""
    if not share:
        return Random(0), []
    rng = Random(f"{kind} {index}")
    if rng.random() >= share:
        return rng, []
    return rng, rng.sample(fields, rng.randint(1, len(fields)))
