"""Format of a model artifact: its files, and the manifest that seals them.

Everything lies under `models/<model_version>/`:

    topk.npy          (n_users, TOP_K) uint16 or uint32, indices into movie_ids, best first,
                      without movies that the user has seen and, for minors and unknown ages,
                      adult movies; rows are padded with the type's largest value
    user_ids.npy      (n_users,) int64, strictly ascending; row i of topk is of user_ids[i]
    movie_ids.json    [movie id, ...]
    popular.json      {"overall": [id, ...], "kids": [...], "groups": {"F:18-24": [...], ...}}
    user_groups.npy   (largest known user id + 1,) uint8, index into the manifest's "groups" by
                      user id; 0 is unknown
    user_factors.npy  (n_users, factors) float32
    item_factors.npy  (n_movies, factors) float32
    item_neighbours.npy, item_weights.npy
                      optional, see `movierec.model.item_neighbours`
    taste.json, taste_priors.npy, taste_learned.npy
                      optional, see `movierec.taste.taste_map`
    movie_costs.npy   optional, (n_movies,) float32: USD that a play costs; where none is known or
                      to be believed the median, see `movierec.model.license_cost`
    held_out_user_ids.npy, held_out_topk.npy
                      optional: the lists of the model's evaluation, for later models to be
                      compared with: as user_ids and topk, of the test users, by the fit that
                      knows TRAIN alone
    report.json, report.html
    manifest.json     written last, and only if absent: a version without it does not exist

`pack` and `unpack` convert a `Model` to bytes and back; the same model gives the same bytes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from movierec.errors import ArtifactError, ObjectNotFoundError
from movierec.model.encoding import Array, dump_json, dump_npy, load_json, load_npy
from movierec.model.sealed_folder import MANIFEST_FILE
from movierec.ports import ObjectStore

PREFIX: Final = "models/"

# The site shows 20. The rest is a reserve for a caller that filters further, at 100 bytes a user.
TOP_K: Final = 50

TOPK_FILE: Final = "topk.npy"
USER_IDS_FILE: Final = "user_ids.npy"
MOVIE_IDS_FILE: Final = "movie_ids.json"
POPULAR_FILE: Final = "popular.json"
USER_GROUPS_FILE: Final = "user_groups.npy"
USER_FACTORS_FILE: Final = "user_factors.npy"
ITEM_FACTORS_FILE: Final = "item_factors.npy"
COSTS_FILE: Final = "movie_costs.npy"
HELD_OUT_USERS_FILE: Final = "held_out_user_ids.npy"
HELD_OUT_TOPK_FILE: Final = "held_out_topk.npy"
REPORT_FILE: Final = "report.json"
REPORT_PAGE_FILE: Final = "report.html"

SERVING_FILES: Final = (
    MANIFEST_FILE,
    MOVIE_IDS_FILE,
    POPULAR_FILE,
    USER_IDS_FILE,
    USER_GROUPS_FILE,
    TOPK_FILE,
)
"""The files that `movierec.model.ranking.Recommender.open` needs in its folder."""

OPTIONAL_SERVING_FILES: Final = (COSTS_FILE,)
"""What it reads besides, of models that have it."""

UNKNOWN_GROUP: Final = "unknown"
"""Name of group 0: users of unknown age. They are treated as minors."""


@dataclass(frozen=True, slots=True)
class Popular:
    """Popular movie ids, best first, each up to TOP_K: of all, without adult ones, by group."""

    overall: tuple[str, ...]
    kids: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A trained model; shapes and types are those of the files above."""

    topk: Array
    user_ids: Array
    movie_ids: Sequence[str]
    popular: Popular
    user_groups: Array
    user_factors: Array
    item_factors: Array


def key(model_version: str, name: str) -> str:
    """Return the object key of one file of a version."""
    return f"{PREFIX}{model_version}/{name}"


# Version names ------------------------------------------------------------------------------

_VERSION = re.compile(r"(\d{8}T\d{6}Z)-([0-9A-Za-z_]+)-([0-9A-Za-z]+)")
_COMMIT_LENGTH: Final = 12
_DATASET_LENGTH: Final = 12


def newest(store: ObjectStore) -> str:
    """Return the newest complete model's version. Raises ObjectNotFoundError if there is none.

    Versions sort by time; one without a manifest is still being written, or was abandoned.
    """
    suffix = f"/{MANIFEST_FILE}"
    keys = (key for key in store.keys(PREFIX) if key.endswith(suffix))
    versions = [key.removeprefix(PREFIX).removesuffix(suffix) for key in keys]
    if not versions:
        raise ObjectNotFoundError(f"no model under {PREFIX} yet: train one with `movierec retrain`")
    return max(versions)


def model_version(now: datetime, code_version: str, dataset_id: str) -> str:
    """Return `20261120T101500Z-<git>-<dataset>`: sorts by time, names the content.

    `now` is aware; `code_version` is a git commit, with `-dirty` (it becomes `_dirty`) when the
    work tree differed. Commit and data set are cut to 12 characters: the manifest has them whole.
    """
    commit, _, dirty = code_version.partition("-")
    code = re.sub(r"[^0-9A-Za-z]", "", commit)[:_COMMIT_LENGTH] or "unknown"
    suffix = "_dirty" if dirty else ""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{code}{suffix}-{dataset_id[:_DATASET_LENGTH]}"


def trained_at(version: str) -> datetime:
    """Return the time in a model version. Raises ArtifactError if it is none."""
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ArtifactError(
            f"{version!r} is no model version: expected <YYYYMMDDTHHMMSSZ>-<git>-<dataset>"
        )
    return datetime.strptime(match[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


# Models -------------------------------------------------------------------------------------


def index_type(n_movies: int) -> np.dtype[Any]:
    """Return the smallest type of topk: its largest value must stay free for padding."""
    return np.dtype(np.uint16 if n_movies < np.iinfo(np.uint16).max else np.uint32)


def pack(model: Model) -> dict[str, bytes]:
    """Return the model's files by name, without reports and manifest.

    Raises ArtifactError if shapes or types disagree.
    """
    check(model)
    popular = {
        "overall": list(model.popular.overall),
        "kids": list(model.popular.kids),
        "groups": {name: list(ids) for name, ids in model.popular.groups.items()},
    }
    return {
        TOPK_FILE: dump_npy(model.topk),
        USER_IDS_FILE: dump_npy(model.user_ids),
        MOVIE_IDS_FILE: dump_json(list(model.movie_ids)),
        POPULAR_FILE: dump_json(popular),
        USER_GROUPS_FILE: dump_npy(model.user_groups),
        USER_FACTORS_FILE: dump_npy(model.user_factors),
        ITEM_FACTORS_FILE: dump_npy(model.item_factors),
    }


def unpack(files: Mapping[str, bytes]) -> Model:
    """Return the model that `pack` wrote. Raises ArtifactError if a file is missing or wrong."""
    missing = sorted(set(_MODEL_FILES) - set(files))
    if missing:
        raise ArtifactError(f"the model lacks {', '.join(missing)}: fetch it again")
    model = Model(
        topk=load_npy(TOPK_FILE, files[TOPK_FILE]),
        user_ids=load_npy(USER_IDS_FILE, files[USER_IDS_FILE]),
        movie_ids=tuple(load_json(MOVIE_IDS_FILE, files[MOVIE_IDS_FILE])),
        popular=load_popular(files[POPULAR_FILE]),
        user_groups=load_npy(USER_GROUPS_FILE, files[USER_GROUPS_FILE]),
        user_factors=load_npy(USER_FACTORS_FILE, files[USER_FACTORS_FILE]),
        item_factors=load_npy(ITEM_FACTORS_FILE, files[ITEM_FACTORS_FILE]),
    )
    check(model)
    return model


_MODEL_FILES: Final = (
    TOPK_FILE,
    USER_IDS_FILE,
    MOVIE_IDS_FILE,
    POPULAR_FILE,
    USER_GROUPS_FILE,
    USER_FACTORS_FILE,
    ITEM_FACTORS_FILE,
)


def load_popular(body: bytes) -> Popular:
    """Return the lists of popular.json. Raises ArtifactError."""
    value = load_json(POPULAR_FILE, body)
    try:
        groups = {name: tuple(ids) for name, ids in value["groups"].items()}
        return Popular(tuple(value["overall"]), tuple(value["kids"]), groups)
    except (KeyError, TypeError, AttributeError) as exc:
        raise ArtifactError(f"{POPULAR_FILE} lacks {exc}: fetch it again, or train anew") from exc


def check(model: Model) -> None:
    """Check a model's shapes and types. Raises ArtifactError."""
    n_users, n_movies = len(model.user_ids), len(model.movie_ids)
    width, f4 = int(model.item_factors.shape[-1]), np.dtype(np.float32)
    faults = [
        f"{name} has shape {array.shape} and type {array.dtype}, not {shape} and {dtype}"
        for name, array, shape, dtype in (
            (TOPK_FILE, model.topk, (n_users, TOP_K), index_type(n_movies)),
            (USER_IDS_FILE, model.user_ids, (n_users,), np.dtype(np.int64)),
            (USER_GROUPS_FILE, model.user_groups, model.user_groups.shape[:1], np.dtype(np.uint8)),
            (USER_FACTORS_FILE, model.user_factors, (n_users, width), f4),
            (ITEM_FACTORS_FILE, model.item_factors, (n_movies, width), f4),
        )
        if array.shape != shape or array.dtype != dtype
    ]
    faults += [] if _ascending(model.user_ids) else [f"{USER_IDS_FILE} does not ascend"]
    faults += [] if _in_range(model.topk, n_movies) else [f"{TOPK_FILE} names unknown movies"]
    if faults:
        raise ArtifactError(f"no valid model: {'; '.join(faults)}: train anew")


def _ascending(ids: Array) -> bool:
    return bool((ids[1:] > ids[:-1]).all())


def _in_range(topk: Array, n_movies: int) -> bool:
    return bool(((topk < n_movies) | (topk == np.iinfo(topk.dtype).max)).all())
