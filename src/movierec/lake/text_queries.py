"""Read from the lake what users wrote of themselves, and what the catalog says of movies.

The newest row of a user or movie counts. Texts are data from outside: cut to a length, and no
more. Memory is bounded: many ids are read in parts.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from movierec.lake import movie_people
from movierec.lake.ports import LakeReader
from movierec.lake.queries import LISTED, columns, of_ids, quoted
from movierec.lake.schema import MOVIES, USERS
from movierec.model.encoding import Array
from movierec.model.texts import Description, MovieText

Versions = Mapping[str, int]

LONGEST: Final = 2000
"""Characters of a description or an overview: a page. What comes after is left out."""

_YEAR: Final = re.compile(r"\+(\d{4})$")
_LONGEST_TITLE: Final = 300
_MOST_NAMES: Final = 50
"""Genres, and keywords, of a movie."""


@dataclass(frozen=True, slots=True, eq=False)
class MovieFacts:
    """What the catalog says of some movies."""

    texts: Sequence[MovieText]
    """(n,); an empty one where it says nothing."""
    costs: Array
    """(n,) float32 USD a play, as the site gives them; NaN: unknown."""


def read_described_users(lake: LakeReader, versions: Versions) -> Array:
    """Return the ids of all users who wrote something (n,), ascending."""
    if USERS.name not in versions:
        return np.zeros(0, np.int64)
    return columns(lake, _DESCRIBED, {USERS.name: versions[USERS.name]})["user_ids"]


def read_descriptions(
    lake: LakeReader, versions: Versions, users: Array
) -> tuple[Array, tuple[Description, ...]]:
    """Return those of some users (n,) who wrote something, ascending, and what they wrote."""
    wanted = np.unique(users)
    found: dict[int, Description] = {}
    for condition in of_ids("user_id", list(map(str, wanted.tolist()))):
        if USERS.name not in versions:
            break
        part = columns(
            lake, _DESCRIPTIONS.format(condition=condition), {USERS.name: versions[USERS.name]}
        )
        asked = np.isin(part["user_ids"], wanted)
        texts = (part[name][asked].tolist() for name in ("user_ids", "likes", "dislikes"))
        for user, likes, dislikes in zip(*texts, strict=True):
            said = Description(likes.strip(), dislikes.strip())
            if said:
                found[user] = said
    return np.array(sorted(found), np.int64), tuple(found[user] for user in sorted(found))


def read_movies(lake: LakeReader, versions: Versions, movie_ids: Sequence[str]) -> MovieFacts:
    """Return what the catalog says of these movies, in their order."""
    places = {movie_id: place for place, movie_id in enumerate(movie_ids)}
    texts, costs = [MovieText()] * len(movie_ids), np.full(len(movie_ids), np.nan, np.float32)
    literals = [quoted(one) for one in sorted(places)]
    for condition in of_ids("movie_id", literals, most_listed=LISTED):
        if MOVIES.name not in versions:
            break
        part = columns(
            lake, _MOVIES.format(condition=condition), {MOVIES.name: versions[MOVIES.name]}
        )
        with np.errstate(over="ignore"):  # an absurd cost is infinite
            given = part["cost"].astype(np.float32)
        rows = zip(given, *(part[name].tolist() for name in _TEXT_COLUMNS), strict=True)
        for movie_id, row in zip(part["movie_id"].tolist(), rows, strict=True):
            place = places.get(movie_id)
            if place is not None:
                costs[place], *said = row
                # The site has the year of release in the movie's id.
                year = _YEAR.search(movie_id)
                texts[place] = replace(movie_text(*said), year=year[1] if year else "")
    return MovieFacts(texts, costs)


def movie_text(title: str, genres: str, keywords: str, overview: str, other: str) -> MovieText:
    """Return a movie's text from its columns, genres and keywords with `_APART` between."""
    return MovieText(
        title=title.strip()[:_LONGEST_TITLE],
        genres=_names(genres),
        keywords=_names(keywords),
        people=movie_people.people(other),
        overview=overview.strip(),
    )


def _names(listed: str) -> tuple[str, ...]:
    if not listed:
        return ()
    names = (name.strip() for name in listed.split(_APART))
    distinct = dict.fromkeys(name for name in names if 0 < len(name) <= movie_people.LONGEST)
    return tuple(distinct)[:_MOST_NAMES]


_APART: Final = "\x1f"  # ASCII's unit separator: a name may have any printable character

_TEXT_COLUMNS: Final = ("title", "genres", "keywords", "overview", "other")

# Of two rows of one time the one with a text counts.
_DESCRIBED: Final = """
select user_ids from (
  select user_id user_ids, max(2 * cast(loaded_at as bigint) + case
           when trim(coalesce(self_description_likes, '')) <> ''
             or trim(coalesce(self_description_dislikes, '')) <> '' then 1 else 0 end) newest
  from users where user_id is not null group by user_id
) where newest % 2 = 1 order by user_ids
"""

_NEWEST_USER: Final = "order by loaded_at, self_description_likes, self_description_dislikes"

_DESCRIPTIONS: Final = f"""
select user_id user_ids,
       last_value(substr(coalesce(self_description_likes, ''), 1, {LONGEST}) {_NEWEST_USER}) likes,
       last_value(substr(coalesce(self_description_dislikes, ''), 1, {LONGEST}) {_NEWEST_USER})
         dislikes
from users where {{condition}} group by user_id
"""  # noqa: S608  ours

_NEWEST_MOVIE: Final = "order by loaded_at, title, overview, other"

_MOVIES: Final = f"""
select movie_id,
       last_value(coalesce(title, '') {_NEWEST_MOVIE}) title,
       last_value(coalesce(array_to_string(genres, '{_APART}'), '') {_NEWEST_MOVIE}) genres,
       last_value(coalesce(array_to_string(keywords, '{_APART}'), '') {_NEWEST_MOVIE}) keywords,
       last_value(substr(coalesce(overview, ''), 1, {LONGEST}) {_NEWEST_MOVIE}) overview,
       last_value(coalesce(other, '') {_NEWEST_MOVIE}) other,
       last_value(coalesce(cost_usd, cast('NaN' as double)) {_NEWEST_MOVIE}) cost
from movies where {{condition}} group by movie_id
"""  # noqa: S608  ours
