"""A model that is served, as a refresh needs it; read once for each model and environment."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from movierec.errors import ArtifactError
from movierec.model import artifact, encoding, fold_in, item_neighbours, sealed_folder
from movierec.model import dataset as datasets
from movierec.model.dataset import Dataset
from movierec.model.dataset_parameters import Parameters
from movierec.model.encoding import Array
from movierec.model.fitted import Float32
from movierec.model.fold_in import FoldIn
from movierec.model.item_neighbours import ItemNeighbours
from movierec.model.license_cost import Penalty
from movierec.model.neighbour_blend import NeighbourBlend
from movierec.model.popularity import Popularity
from movierec.model.refresh import Base, group_means
from movierec.model.sparse_rows import SparseRows
from movierec.model.texts import Description, MovieText
from movierec.model.user_id import rows_of
from movierec.ports import ObjectStore
from movierec.taste import taste_map
from movierec.taste.taste_map import TasteMap


class Tastes(Protocol):
    """Words as factors of the model; zeros: nothing in them is understood."""

    def users(self, descriptions: Sequence[Description], groups: Array, /) -> Float32:
        """Return the factors of users of some groups who wrote this, (n, k)."""
        ...

    def movies(self, texts: Sequence[MovieText], /) -> Float32:
        """Return the factors of movies of which the catalog says this, (m, k)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ServedModel:
    """A model, and the offsets that its data set was read up to."""

    version: str
    base: Base
    offsets: Mapping[str, int]
    tastes: Tastes | None = None
    """None: of a model of before, which cannot read what users wrote."""

    def likes_of(self, users: Array) -> Array:
        """Return how many movies each user likes in the data set, 0 for one it has not."""
        dataset = self.base.dataset
        rows, known = rows_of(dataset.user_ids, users)
        own = SparseRows(dataset.indptr, dataset.movies).entries(rows[known])
        likes = np.zeros(len(users), np.int64)
        likes[known] = np.diff(own.where(dataset.strength[own.columns] > 0).indptr)
        return likes


def load(store: ObjectStore, model_version: str) -> ServedModel:
    """Return a model, each file verified with its checksum.

    Raises ObjectNotFoundError if there is none, ArtifactError if a file is damaged or missing.
    """
    key = functools.partial(artifact.key, model_version)
    manifest = sealed_folder.manifest(store, key)
    dataset = datasets.load(store, _of(manifest, "dataset_id"))
    built = sealed_folder.manifest(
        store, functools.partial(datasets.key, _of(manifest, "dataset_id"))
    )
    name = artifact.ITEM_FACTORS_FILE
    factors = encoding.load_npy(name, sealed_folder.load(store, key, [name], manifest)[name])
    fitted = FoldIn(factors, fold_in.regularization_of(manifest, dataset))
    alpha = _of(manifest, "parameters")["alpha"]
    base = Base(
        dataset=dataset,
        parameters=Parameters.read(built["parameters"]),
        fold_in=fitted,
        alpha=alpha,
        popularity=Popularity.by_group(dataset).scores,
        blend=_blend(store, manifest, dataset),
        group_means=group_means(dataset, fitted, alpha),
        penalty=_penalty(store, manifest),
    )
    offsets = {name: part["last"] for name, part in built["lake"]["offsets"].items()}
    return ServedModel(model_version, base, offsets, _tastes(store, manifest))


def _tastes(store: ObjectStore, manifest: Mapping[str, Any]) -> TasteMap | None:
    """Return the model's map of tastes, None if it learned from no texts."""
    if not set(taste_map.FILES) <= set(manifest["files"]):
        return None
    key = functools.partial(artifact.key, manifest["model_version"])
    return TasteMap.unpack(sealed_folder.load(store, key, taste_map.FILES, manifest))


def _blend(
    store: ObjectStore, manifest: Mapping[str, Any], dataset: Dataset
) -> NeighbourBlend | None:
    """Return how the model's lists are blended, None if they are of its factors alone."""
    if manifest.get("lists_from") != "blend":
        return None
    key = functools.partial(artifact.key, manifest["model_version"])
    files = sealed_folder.load(store, key, item_neighbours.FILES, manifest)
    liked = dataset.movies[dataset.strength > 0]
    return NeighbourBlend.of(
        ItemNeighbours.unpack(files),
        np.bincount(liked, minlength=len(dataset.movie_ids)),
        als_share=manifest["blend"]["als_share"],
        popularity_exponent=manifest["blend"]["popularity_exponent"],
        strength_share=manifest["item_to_item"]["strength_share"],
    )


def _penalty(store: ObjectStore, manifest: Mapping[str, Any]) -> Penalty | None:
    """Return how the model's lists count costs, None if they do not."""
    found = manifest.get("license_cost") or {}
    if not found.get("applied"):
        return None
    key = functools.partial(artifact.key, manifest["model_version"])
    name = artifact.COSTS_FILE
    usd = encoding.load_npy(name, sealed_folder.load(store, key, [name], manifest)[name])
    relative = (usd / found["median_usd"]).astype(np.float32)
    return Penalty(relative, found["cost_weight"])


def _of(manifest: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401  JSON
    try:
        return manifest[name]
    except KeyError as exc:
        raise ArtifactError(f"the model's manifest lacks {name}: train anew") from exc
