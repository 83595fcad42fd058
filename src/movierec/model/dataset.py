"""Build a data set: interactions, how strongly each shows liking, and a time-based test split.

Everything lies under `datasets/<dataset_id>/`: interactions as compressed sparse rows, one row a
user, one entry for each movie that the user has watched or rated.

    indptr.npy       (n_users + 1,) int64; user i has the entries indptr[i]:indptr[i + 1]
    movies.npy       (n,) int32, index into movie_ids, ascending within a user
    strength.npy     (n,) float32 in 0..1; 0: seen, but no sign of liking
    ratings.npy      (n,) the user's last rating on the scale 1 to 5; 0: none; int8, or float32
                     where the site has another scale
    last_at.npy      (n,) uint32, seconds since 1970, the user's last event with the movie
    part.npy         (n,) uint8: TRAIN, TEST or LATER
    user_ids.npy     (n_users,) int64 ascending
    movie_ids.json   [movie id, ...] ascending
    adult.npy        (n_movies,) bool, not to be shown to minors
    user_groups.npy  (largest known user id + 1,) uint8, index into segments.GROUPS by user id
    user_occupations.npy, occupations.json
                     optional, see `movierec.model.occupations`
    user_texts.json, movie_texts.json
                     optional, see `movierec.model.texts`
    movie_costs.npy  optional, (n_movies,) float32: USD that a play costs; NaN: unknown
    report.json, report.html   the quality of the data
    manifest.json    written last, and only if absent

Strength and confidence
    A rating is first mapped to the scale 1 to 5 (`rating_scale`). One below
    `min_positive_rating` (3) is negative: strength 0. Otherwise, with
        watched = min(1, last minute watched / runtime)
        liking  = (rating - min_positive_rating + 1) / (max_rating - min_positive_rating + 1)
    strength is their mean if the movie was watched and rated, `liking` if only rated, `watched` if
    only watched, unless watched < `min_watched_share` (0.1): then 0. A movie of unknown runtime
    counts as long as RUNTIME_QUANTILE of its viewers stayed at most, and RUNTIME_FLOOR_MINUTES
    at least. Training turns strength s into the confidence c = 1 + alpha s of Hu, Koren &
    Volinsky 2008, "Collaborative Filtering for Implicit Feedback Datasets", equation for c_ui.

Split
    Interactions are ordered by their last event. The newest `held_out_share` is TEST where the
    user has an earlier positive interaction, LATER where not (nothing could be predicted from);
    all before is TRAIN. So TRAIN holds no event after the cutoff.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from movierec.errors import ArtifactError, DatasetError, ObjectNotFoundError
from movierec.model import encoding, occupations, sealed_folder, texts
from movierec.model.dataset_parameters import Parameters
from movierec.model.encoding import Array
from movierec.model.occupations import Occupations
from movierec.model.rating_scale import RatingScale
from movierec.model.segments import GROUPS
from movierec.model.texts import Texts
from movierec.ports import ObjectStore

FORMAT_VERSION: Final = 1
"""Part of a data set's id."""

BUILDER_FORMAT: Final = 2
"""Of the code that builds; its manifests name it as `builder_format`, those of format 1 do not.

2: knows rating scales other than 1 to 5, and ignores events of impossible times.
"""

PREFIX: Final = "datasets/"

TRAIN: Final = 0
TEST: Final = 1
LATER: Final = 2

# A user who stops earlier than nine in ten did not see the end; the last tenth may be corrupt.
RUNTIME_QUANTILE: Final = 0.9
# The Academy's minimum length of a feature film: without it, a movie that all viewers leave after
# five minutes would count as watched to its end.
RUNTIME_FLOOR_MINUTES: Final = 40


def key(dataset_id: str, name: str) -> str:
    """Return the object key of one file of a data set."""
    return f"{PREFIX}{dataset_id}/{name}"


# Evidence to data set -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """One row for each user and movie watched, in any order."""

    user_ids: Array
    movies: Array
    """Index into `Evidence.movie_ids`."""
    minutes: Array
    """The largest minute seen."""
    last_at: Array
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True, eq=False)
class Rated:
    """One row for each user and movie rated, in any order: the last rating, on the site's scale."""

    user_ids: Array
    movies: Array
    ratings: Array
    last_at: Array


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the lake holds: events aggregated by user and movie, the catalog, the users."""

    movie_ids: Sequence[str]
    """Ascending."""
    watched: Watched
    rated: Rated
    runtimes_minutes: Array
    """(n_movies,); 0: unknown."""
    adult: Array
    """(n_movies,) bool: not to be shown to minors."""
    user_groups: Array
    """By user id, see `segments.groups_by_id`."""
    occupations: Occupations | None = None
    older: int = 0
    """Interactions left out, as there are enough newer ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """The arrays and ids of the module's docstring."""

    indptr: Array
    movies: Array
    strength: Array
    ratings: Array
    last_at: Array
    part: Array
    user_ids: Array
    movie_ids: Sequence[str]
    adult: Array
    user_groups: Array
    occupations: Occupations | None = None
    texts: Texts | None = None
    costs: Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Interactions ordered by user and movie: one row each."""

    users: Array
    movies: Array
    minutes: Array
    """-1: not watched."""
    ratings: Array
    last_at: Array

    def where(self, keep: Array) -> "_Pairs":
        return _Pairs(*(getattr(self, f.name)[keep] for f in dataclasses.fields(self)))


def build(evidence: Evidence, parameters: Parameters) -> Dataset:
    """Return the data set. Raises DatasetError if there is too little to learn or test from."""
    pairs = _pair(evidence, parameters.scale)
    pairs, movie_codes = _drop_rare(pairs, len(evidence.movie_ids), parameters.min_movie_users)
    user_ids, rows = np.unique(pairs.users, return_inverse=True)
    _enough("users", len(user_ids), parameters.min_users)
    _enough("interactions", len(rows), parameters.min_interactions)
    watched = watched_share(pairs.minutes, pairs.movies, evidence.runtimes_minutes[movie_codes])
    strength = strengths(watched, pairs.ratings, parameters)
    part = split(pairs.last_at, rows, strength, parameters.held_out_share)
    if not ((part == TEST) & (strength > 0)).any():
        raise DatasetError(
            f"of {len(rows)} interactions none can be held out: no user has a positive one among"
            f" the newest {parameters.held_out_share:.0%} and another before; let the ingest"
            " worker read more days, or raise the parameter held_out_share"
        )
    return Dataset(
        indptr=np.concatenate(([0], np.cumsum(np.bincount(rows)))).astype(np.int64),
        movies=pairs.movies.astype(np.int32),
        strength=strength,
        ratings=pairs.ratings,
        last_at=pairs.last_at.astype(np.uint32),
        part=part,
        user_ids=user_ids.astype(np.int64),
        movie_ids=tuple(evidence.movie_ids[i] for i in movie_codes.tolist()),
        adult=evidence.adult[movie_codes].astype(np.bool_),
        user_groups=evidence.user_groups,
        occupations=evidence.occupations,
    )


def _enough(what: str, found: int, least: int) -> None:
    if found < least:
        raise DatasetError(
            f"the lake holds {found} {what} of movies seen by enough users, {least} are needed:"
            f" let the ingest worker run longer, or lower the parameter min_{what}"
        )


def _pair(evidence: Evidence, scale: RatingScale) -> _Pairs:
    """Outer join of watched and rated on (user, movie), which is unique in both."""
    watched, rated = evidence.watched, evidence.rated
    users = np.concatenate((watched.user_ids, rated.user_ids))
    movies = np.concatenate((watched.movies, rated.movies))
    order = _by_user_and_movie(users, movies, len(evidence.movie_ids))
    first = np.ones(len(order), np.bool_)
    first[1:] = _changes(users[order])
    first[1:] |= _changes(movies[order])
    n, split_at = int(first.sum()), len(watched.user_ids)
    slots: Array = np.empty(len(order), np.int32 if n < np.iinfo(np.int32).max else np.int64)
    slots[order] = np.cumsum(first, dtype=slots.dtype)
    slots -= 1
    minutes = np.full(n, -1, np.int32)
    ratings = np.zeros(n, np.int8 if scale.is_native else np.float32)
    last_at = np.zeros(n, np.int64)
    minutes[slots[:split_at]] = watched.minutes
    # A larger one, from before the scale was set, would wrap around.
    ratings[slots[split_at:]] = np.minimum(scale.native(rated.ratings), np.iinfo(np.int8).max)
    last_at[slots[:split_at]] = watched.last_at
    rated_slots = slots[split_at:]
    last_at[rated_slots] = np.maximum(last_at[rated_slots], rated.last_at)
    kept = order[first]
    return _Pairs(users[kept], movies[kept], minutes, ratings, last_at)


def _by_user_and_movie(users: Array, movies: Array, n_movies: int) -> Array:
    """Return the order of rows by user, then movie."""
    if len(users) and int(users.max()) < np.iinfo(np.int64).max // max(n_movies, 1):
        return np.argsort(users.astype(np.int64) * n_movies + movies)
    # Of larger ids (from 3.4e14 on) the product overflows.
    return np.lexsort((movies, users))


def _changes(values: Array) -> npt.NDArray[np.bool_]:
    return np.asarray(values[1:] != values[:-1])


def _drop_rare(
    pairs: _Pairs, n_movies: int, min_users: int
) -> tuple[_Pairs, npt.NDArray[np.int64]]:
    """Return the pairs of movies with enough users, renumbered, and the movies' old numbers."""
    counts = np.bincount(pairs.movies, minlength=n_movies)
    codes = np.flatnonzero(counts >= min_users)
    renumbered = np.full(n_movies, -1, np.int32)
    renumbered[codes] = np.arange(len(codes), dtype=np.int32)
    movies = renumbered[pairs.movies]
    return dataclasses.replace(pairs, movies=movies).where(movies >= 0), codes


def watched_share(minutes: Array, movies: Array, runtimes_minutes: Array) -> Array:
    """Return how much of each movie was watched, (n,) float32 in 0..1; 0 for minute -1.

    `minutes` and `movies` are (n,), `runtimes_minutes` is (n_movies,) with 0 where unknown.
    """
    runtimes = np.where(
        runtimes_minutes > 0, runtimes_minutes, _estimated(minutes, movies, runtimes_minutes)
    ).astype(np.float32)
    share: Array = np.clip(minutes.astype(np.float32) / runtimes[movies], 0, 1)
    return share


def _estimated(minutes: Array, movies: Array, runtimes_minutes: Array) -> Array:
    """Return the RUNTIME_QUANTILE of the minutes of each movie whose runtime is unknown."""
    wanted = (runtimes_minutes[movies] <= 0) & (minutes >= 0)
    minutes, movies = minutes[wanted], movies[wanted]
    estimate = np.full(len(runtimes_minutes), RUNTIME_FLOOR_MINUTES)
    order = np.lexsort((minutes, movies))
    present, starts, counts = np.unique(movies[order], return_index=True, return_counts=True)
    at = starts + np.floor(RUNTIME_QUANTILE * (counts - 1)).astype(np.int64)
    estimate[present] = np.maximum(minutes[order][at], RUNTIME_FLOOR_MINUTES)
    return estimate


def strengths(watched: Array, ratings: Array, parameters: Parameters) -> npt.NDArray[np.float32]:
    """Return strength by the formula in the module's docstring; all arrays are (n,)."""
    liked, rated, seen = liking(ratings, parameters), ratings > 0, watched > 0
    long_enough = np.where(watched >= parameters.min_watched_share, watched, 0)
    found = np.where(rated, np.where(seen, (watched + liked) / 2, liked), long_enough)
    negative = rated & (ratings < parameters.min_positive_rating)
    return np.where(negative, 0, found).astype(np.float32)


def liking(ratings: Array, parameters: Parameters) -> Array:
    """Return `liking` by the formula in the module's docstring, (n,) float32."""
    least, most = parameters.min_positive_rating, parameters.max_rating
    found: Array = np.clip((ratings.astype(np.float32) - least + 1) / (most - least + 1), 0, 1)
    return found


def split(
    last_at: Array, rows: Array, strength: Array, held_out_share: float
) -> npt.NDArray[np.uint8]:
    """Return TRAIN, TEST or LATER for each interaction; all arrays are (n,), `rows` the user."""
    cutoff = np.partition(last_at, kth := int((1 - held_out_share) * len(last_at)))[kth]
    # If the quantile falls on the first second, only later interactions can be held out.
    late = last_at >= cutoff if cutoff > last_at.min() else last_at > cutoff
    earlier = np.bincount(rows[~late & (strength > 0)], minlength=int(rows.max()) + 1) > 0
    return np.where(late, np.where(earlier[rows], TEST, LATER), TRAIN).astype(np.uint8)


# Bytes --------------------------------------------------------------------------------------

_ARRAYS: Final[Mapping[str, str | None]] = {
    "indptr": "int64",
    "movies": "int32",
    "strength": "float32",
    "ratings": None,  # int8 or float32
    "last_at": "uint32",
    "part": "uint8",
    "user_ids": "int64",
    "adult": "bool",
    "user_groups": "uint8",
}
MOVIE_IDS_FILE: Final = "movie_ids.json"
COSTS_FILE: Final = "movie_costs.npy"

OPTIONAL_FILES: Final = (*occupations.FILES, *texts.FILES, COSTS_FILE)

FILES: Final = (*(f"{name}.npy" for name in _ARRAYS), MOVIE_IDS_FILE)
"""The files that make a data set and its id, without optional ones, reports and manifest."""


def pack(dataset: Dataset) -> dict[str, bytes]:
    """Return the data set's files by name; the same data set gives the same bytes."""
    arrays = {
        f"{name}.npy": encoding.dump_npy(np.asarray(getattr(dataset, name), dtype))
        for name, dtype in _ARRAYS.items()
    }
    optional = dataset.occupations.pack() if dataset.occupations else {}
    if dataset.texts:
        optional |= dataset.texts.pack()
    if dataset.costs is not None:
        optional[COSTS_FILE] = encoding.dump_npy(np.asarray(dataset.costs, np.float32))
    return {**arrays, MOVIE_IDS_FILE: encoding.dump_json(list(dataset.movie_ids)), **optional}


def unpack(files: Mapping[str, bytes]) -> Dataset:
    """Return the data set that `pack` wrote. Raises ArtifactError if a file is missing or bad."""
    missing = sorted(set(FILES) - set(files))
    if missing:
        raise ArtifactError(f"the data set lacks {', '.join(missing)}: build it anew")
    arrays = {name: encoding.load_npy(f"{name}.npy", files[f"{name}.npy"]) for name in _ARRAYS}
    movie_ids = encoding.load_json(MOVIE_IDS_FILE, files[MOVIE_IDS_FILE])
    n_users = len(arrays["user_ids"])
    costs = files.get(COSTS_FILE)
    return Dataset(
        **arrays,
        movie_ids=tuple(movie_ids),
        occupations=occupations.unpack(files),
        texts=texts.unpack(files, n_users, len(movie_ids)),
        costs=None if costs is None else encoding.load_npy(COSTS_FILE, costs),
    )


def load(store: ObjectStore, dataset_id: str) -> Dataset:
    """Return a data set, each file verified with its checksum. Raises ArtifactError."""
    folder = functools.partial(key, dataset_id)
    try:
        manifest = sealed_folder.manifest(store, folder)
    except ObjectNotFoundError as exc:
        raise ArtifactError(
            f"there is no data set {dataset_id}: its manifest is missing; build one with"
            " movierec-build-dataset and pass the dataset_id from its answer"
        ) from exc
    if manifest.get("groups") != list(GROUPS):
        raise ArtifactError(
            f"data set {dataset_id} has other user segments than this code: build it anew"
        )
    optional = [name for name in OPTIONAL_FILES if name in manifest["files"]]
    return unpack(sealed_folder.load(store, folder, (*FILES, *optional), manifest))


def dataset_id(
    files: Mapping[str, bytes], parameters: Parameters, lake_versions: Mapping[str, int]
) -> str:
    """Return the name of this content: 16 hexadecimal digits of a sha256."""
    content = {
        "format_version": FORMAT_VERSION,
        "parameters": parameters.to_json(),
        "lake_versions": dict(lake_versions),
        "files": sealed_folder.checksums({name: files[name] for name in FILES}),
    }
    return hashlib.sha256(encoding.dump_json(content)).hexdigest()[:16]
