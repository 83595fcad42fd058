"""JSON documents of users and movies, with the keys and types of the course's APIs.

Everything is text but the numbers `tmdb_id`, `runtime`, `user_id` and `age`, the lists and
`belongs_to_collection`; a value that is missing is the text "null".
"""

import json
from collections.abc import Mapping
from random import Random
from string import ascii_lowercase
from typing import Any, Final

import numpy as np

from simulator.film_catalog import GENRES, genre_names
from simulator.film_titles import UNKNOWN_YEAR
from simulator.synthetic_world import World
from simulator.title_words import ADJECTIVES, COUNTRIES, LANGUAGES, NAMES, NOUNS, PLACES
from simulator.user_demographics import GENDERS, OCCUPATIONS

MISSING: Final = "null"

USER_NOT_FOUND: Final = {"message": "user not found"}
MOVIE_NOT_FOUND: Final = {"message": "movie not found"}

_GENRE_IDS: Final = dict(GENRES)
_STATUSES: Final = ("Released", "Released", "Released", "Rumored", "Post Production")


def user(world: World, index: int) -> dict[str, Any]:
    """Return the answer about one user, by row."""
    demographics = world.users
    return {
        "user_id": index + 1,
        "age": int(demographics.age[index]),
        "occupation": OCCUPATIONS[int(demographics.occupation[index])],
        "gender": GENDERS[int(demographics.gender[index])],
    }


def movie(world: World, index: int, *, tagline: bool = True) -> dict[str, Any]:
    """Return the answer about one film, by row: 24 keys, or without `tagline` the 23 of 2022."""
    films = world.films
    # The standard library's: a numpy generator takes 20 microseconds to make, and 3 a number.
    rng = Random(f"{index} {films.day[index]}")
    year = films.titles[index].year
    found = {
        "id": films.ids[index],
        "tmdb_id": 1000 + index * 7,
        "imdb_id": f"tt{100_000 + index * 37:07d}",
        "title": films.titles[index].text,
        "original_title": films.titles[index].text,
        "adult": str(bool(films.adult[index])),
        "belongs_to_collection": _collection(index, rng),
        "budget": _money(rng),
        "genres": [
            {"id": _GENRE_IDS[name], "name": name} for name in genre_names(int(films.genres[index]))
        ],
        "homepage": MISSING,
        "original_language": LANGUAGES[int(films.language[index])][0],
        "overview": _overview(rng),
        **_reception(world, index),
        "poster_path": f"/{_token(rng)}.jpg",
        "production_companies": _companies(rng),
        "production_countries": [_pair(COUNTRIES[int(films.language[index])], "iso_3166_1")],
        "release_date": _release_date(year, int(films.day[index])),
        "revenue": _money(rng),
        "runtime": int(films.runtime_minutes[index]),
        "spoken_languages": [_pair(LANGUAGES[int(films.language[index])], "iso_639_1")],
        "status": rng.choice(_STATUSES),
        "tagline": f"Every {_word(NOUNS, rng)} has a {_word(NOUNS, rng)}.",
    }
    if not tagline:
        del found["tagline"]
    return found


def dump(found: Mapping[str, Any] | list[Any]) -> str:
    """Return JSON as the site prints it: no blanks between values."""
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False)


def _reception(world: World, index: int) -> dict[str, str]:
    popularity = float(world.preferences.popularity[index])
    quality = float(world.films.quality[index])
    return {
        "popularity": f"{popularity * 1000:.6f}",
        "vote_average": f"{np.clip(6.0 + quality, 0, 10):.1f}",
        "vote_count": str(round(popularity * 20_000)),
    }


def _release_date(year: int, day: int) -> str:
    if year == UNKNOWN_YEAR:
        return MISSING
    return str(np.datetime64(f"{year}-01-01") + np.timedelta64(day, "D"))


def _collection(index: int, rng: Random) -> dict[str, Any]:
    """Return the collection that one film in ten belongs to, {} for the others."""
    if rng.random() >= 0.1:  # noqa: PLR2004  one in ten
        return {}
    return {
        "id": 400_000 + index,
        "name": f"The {_word(NOUNS, rng).title()} Collection",
        "poster_path": f"/{_token(rng)}.jpg",
        "backdrop_path": f"/{_token(rng)}.jpg",
    }


def _companies(rng: Random) -> list[dict[str, Any]]:
    numbers = [rng.randrange(1, len(PLACES)) for _ in range(rng.randrange(3))]
    return [{"name": f"{PLACES[n].title()} Pictures", "id": 60 + n} for n in numbers]


def _pair(entry: tuple[str, str], key: str) -> dict[str, str]:
    return {key: entry[0], "name": entry[1]}


def _money(rng: Random) -> str:
    """Return an amount in dollars; of half of the films it is not known."""
    return str(int(rng.lognormvariate(16, 1))) if rng.random() < 0.5 else "0"  # noqa: PLR2004


def _overview(rng: Random) -> str:
    name, other = _word(NAMES, rng).title(), _word(NAMES, rng).title()
    return (
        f"{name}, a {_word(ADJECTIVES, rng)} {_word(NOUNS, rng)} from {_word(PLACES, rng).title()},"
        f" meets {other} and learns what the {_word(ADJECTIVES, rng)} {_word(NOUNS, rng)} is worth."
    )


def _word(words: list[str], rng: Random) -> str:
    return rng.choice(words)


def _token(rng: Random) -> str:
    return "".join(rng.choices(ascii_lowercase, k=24))
