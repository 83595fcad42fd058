"""What users wrote about themselves, and what the catalog says of movies.

An optional part of a data set:

    user_texts.json    {"rows": [index into the data set's users, ascending, ...],
                        "likes": [text, ...], "dislikes": [text, ...]}
    movie_texts.json   [{"title": ..., "genres": [...], "keywords": [...], "people": [...],
                         "overview": ..., "year": ...}, ...], one for each movie

They are no part of the data set's id, as `movierec.model.occupations`; the sealed manifest has
their checksums. A text is data from outside: nothing here or in its readers takes it as more.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from movierec.errors import ArtifactError
from movierec.model import encoding

USERS_FILE: Final = "user_texts.json"
MOVIES_FILE: Final = "movie_texts.json"
FILES: Final = (USERS_FILE, MOVIES_FILE)


@dataclass(frozen=True, slots=True)
class Description:
    """What a user wrote at sign-up; empty: nothing."""

    likes: str = ""
    dislikes: str = ""

    def __bool__(self) -> bool:
        """Return whether there is any text."""
        return bool(self.likes.strip() or self.dislikes.strip())


def fingerprint(description: Description) -> int:
    """Return a hash of 64 bits by which another text is told from this, 0 for none."""
    if not description:
        return 0
    text = f"{description.likes}\0{description.dislikes}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) or 1


@dataclass(frozen=True, slots=True)
class MovieText:
    """What the catalog says of a movie in words."""

    title: str = ""
    genres: Sequence[str] = ()
    keywords: Sequence[str] = ()
    people: Sequence[str] = ()
    """Cast, crew and companies, as far as the site names them."""
    overview: str = ""
    year: str = ""
    """Of its release; empty: unknown."""


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """The texts of a data set's users and movies."""

    rows: npt.NDArray[np.int32]
    """(n,), ascending: the users who wrote something."""
    descriptions: Sequence[Description]
    """(n,)."""
    movies: Sequence[MovieText]
    """(n_movies,)."""

    def pack(self) -> dict[str, bytes]:
        """Return the files."""
        users = {
            "rows": self.rows.tolist(),
            "likes": [one.likes for one in self.descriptions],
            "dislikes": [one.dislikes for one in self.descriptions],
        }
        movies = [{name: getattr(one, name) for name in _OF_MOVIES} for one in self.movies]
        return {USERS_FILE: encoding.dump_json(users), MOVIES_FILE: encoding.dump_json(movies)}


_OF_MOVIES: Final = tuple(field.name for field in dataclasses.fields(MovieText))


def unpack(files: Mapping[str, bytes], n_users: int, n_movies: int) -> Texts | None:
    """Return what `pack` wrote, None where the files are not there. Raises ArtifactError."""
    if not set(FILES) <= set(files):
        return None
    users, movies = (encoding.load_json(name, files[name]) for name in FILES)
    try:
        rows = np.asarray(users["rows"], np.int32)
        written = zip(users["likes"], users["dislikes"], strict=True)
        descriptions = tuple(Description(*both) for both in written)
        found = Texts(rows, descriptions, tuple(map(_movie_text, movies)))
    except (KeyError, TypeError, ValueError) as exc:
        raise ArtifactError(f"{' or '.join(FILES)} is not as it was written: {exc!r}") from exc
    in_order = (np.diff(rows) > 0).all() and (not len(rows) or 0 <= rows[0] <= rows[-1] < n_users)
    if len(found.descriptions) != len(rows) or not in_order:
        raise ArtifactError(f"{USERS_FILE} names users that the data set has not, or one twice")
    if len(found.movies) != n_movies:
        raise ArtifactError(f"{MOVIES_FILE} has {len(movies)} movies, the data set {n_movies}")
    return found


def _movie_text(found: Mapping[str, Any]) -> MovieText:
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in found.items()
    }
    return MovieText(**values)
