"""A model that is served, as a refresh needs it; read once for each model and environment."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from movierec.errors import ArtifactError
from movierec.model import artifact, encoding, fold_in, item_neighbours, sealed_folder
from movierec.model import dataset as datasets
from movierec.model.dataset import Dataset
from movierec.model.dataset_parameters import Parameters
from movierec.model.fold_in import FoldIn
from movierec.model.item_neighbours import ItemNeighbours
from movierec.model.neighbour_blend import NeighbourBlend
from movierec.model.popularity import Popularity
from movierec.model.refresh import Base
from movierec.ports import ObjectStore


@dataclass(frozen=True, slots=True, eq=False)
class ServedModel:
    """A model, and the offsets that its data set was read up to."""

    version: str
    base: Base
    offsets: Mapping[str, int]


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
    parameters = _of(manifest, "parameters")
    base = Base(
        dataset=dataset,
        parameters=Parameters.read(built["parameters"]),
        fold_in=FoldIn(factors, _regularization(manifest, dataset)),
        alpha=parameters["alpha"],
        popularity=Popularity.by_group(dataset).scores,
        blend=_blend(store, manifest, dataset),
    )
    offsets = {name: part["last"] for name, part in built["lake"]["offsets"].items()}
    return ServedModel(model_version, base, offsets)


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


def _regularization(manifest: Mapping[str, Any], dataset: Dataset) -> float:
    """Return lambda; manifests of before have it in other units alone."""
    found = manifest.get("als_regularization")
    return (
        fold_in.scaled(manifest["parameters"]["regularization"], dataset)
        if found is None
        else found
    )


def _of(manifest: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401  JSON
    try:
        return manifest[name]
    except KeyError as exc:
        raise ArtifactError(f"the model's manifest lacks {name}: train anew") from exc
