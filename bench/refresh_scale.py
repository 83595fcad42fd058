"""A refresh of 100,000 changed users of a million: the function's own code, beside `implicit`.

All of them have watched three movies more, and have described themselves.

The lake and the store are local folders. Each stage is a process of its own, so that its memory is
its own; what `prepare` makes stays in build/people/scale. The factors are random: what they are
costs nothing. The rival folds in and ranks the same users, with all data at hand: it reads and
writes nothing.

    python -m bench.refresh_scale FOLDER prepare|als|blend|implicit
"""

import functools
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from aws_lambda_powertools import Logger, Metrics
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no types

from bench import scale_lake
from bench.scale_lake import Site
from bench.scale_stages import FolderStore
from functions.build_dataset import handler as build_dataset
from functions.refresh import handler as refresh
from functions.refresh import movies, overlay_store, served_model
from functions.refresh.served_model import ServedModel
from functions.train_als import als, list_choice
from movierec.aws.delta_lake import DeltaLake
from movierec.lake import plausible_times
from movierec.lake.schema import EVENTS, USERS
from movierec.model import artifact, encoding, overlay, sealed_folder
from movierec.model import dataset as datasets
from movierec.model.fitted import Factors
from movierec.model.item_neighbours import NEIGHBOURS, ItemNeighbours
from movierec.model.texts import Description, MovieText, Texts
from movierec.model.user_id import rows_of
from movierec.releases.traffic_split import TrafficSplit
from movierec.runtime.clock import SystemClock
from movierec.runtime.stage_usage import StageUsage
from movierec.taste.taste_map import TasteMap
from movierec.testing.releases import MemoryFunction
from simulator import film_catalog, synthetic_world
from simulator.self_descriptions import Describer
from simulator.synthetic_world import World

Array = npt.NDArray[Any]

SITE: Final = Site(users=1_000_000, movies=27_000, interactions=20_000_000)
CHANGED: Final = 100_000
_EVENTS_EACH: Final = 3
_TEXTS: Final = 5_000
_AT: Final = np.datetime64("2026-10-31T12:00", "us")
_THREADS: Final = 2
_RIVAL_AT_ONCE: Final = 10_000
_MODELS: Final = {kind: f"20261101T120000Z-bench-{kind}" for kind in ("als", "blend")}


def prepare(folder: Path, usage: StageUsage) -> None:
    """Write the lake, its data set, two models, and then the newer events."""
    if (folder / "prepared").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    lake, store = DeltaLake(str(folder / "lake")), FolderStore(folder)
    with usage.stage("lake"):
        rows = scale_lake.generate(folder / "lake", SITE)
    logger, metrics = _reporting()
    deps = build_dataset.Dependencies(lake, store, "bench", logger, metrics)
    with usage.stage("dataset"):
        dataset_id = build_dataset.build_dataset({}, deps)["dataset_id"]
    dataset = datasets.load(store, dataset_id)
    for lists_from, version in _MODELS.items():
        _publish(store, version, dataset_id, lists_from, dataset)
    users = np.sort(np.random.default_rng(2).choice(SITE.users, CHANGED, replace=False) + 1)
    lake.append(USERS.name, [_described(users)], transactions={})
    lake.append(EVENTS.name, [_newer(users, rows)], transactions={"newer": 1})
    (folder / "prepared").touch()


def _publish(
    store: FolderStore, version: str, dataset_id: str, lists_from: str, dataset: datasets.Dataset
) -> None:
    rng, n_movies = np.random.default_rng(1), len(dataset.movie_ids)
    beside = list_choice.Parameters.read({})
    factors = rng.normal(scale=0.1, size=(n_movies, als.Parameters().factors)).astype(np.float32)
    counts = np.bincount(dataset.movies, minlength=n_movies)
    ranked = np.sort(np.argsort(-counts, kind="stable")[: beside.items.movies])
    kind = artifact.index_type(n_movies)
    sources = np.full((n_movies, NEIGHBOURS), np.iinfo(kind).max, kind)
    weights = np.zeros((n_movies, NEIGHBOURS), np.float32)
    sources[ranked] = rng.choice(ranked, (len(ranked), NEIGHBOURS))
    weights[ranked] = np.sort(rng.random((len(ranked), NEIGHBOURS)), axis=1)[:, ::-1] + 0.01
    files = {
        artifact.ITEM_FACTORS_FILE: encoding.dump_npy(factors),
        **ItemNeighbours(sources, weights).pack(),
        **_tastes(factors, counts).pack(),
    }
    facts = {
        "model_version": version,
        "dataset_id": dataset_id,
        "parameters": {"alpha": als.Parameters().alpha},
        "als_regularization": 10.0,
        **list_choice.Choice(lists_from, "for the benchmark").facts(beside),
    }
    sealed_folder.publish(store, functools.partial(artifact.key, version), files, facts)


@functools.cache
def _world() -> World:
    return synthetic_world.generate(_TEXTS, SITE.movies, 1)


@functools.cache
def _written() -> Sequence[Description]:
    """Return some texts as people write them."""
    describer = Describer(_world())
    said = map(describer.describe, _world().preferences.user_factors)
    return [Description(one.likes or "", one.dislikes or "") for one in said]


def _described(users: Array) -> dict[str, Any]:
    """Return what the site says of the changed users."""
    said = [_written()[user % _TEXTS] for user in users.tolist()]
    return {
        "user_id": users,
        "age": np.full(len(users), 30, np.int16),
        "gender": pl.repeat("F", len(users), eager=True),
        "self_description_likes": [one.likes for one in said],
        "self_description_dislikes": [one.dislikes for one in said],
        "loaded_at": np.full(len(users), _AT),
    }


def _tastes(factors: Array, likes: Array) -> TasteMap:
    """Return a map of the catalog's phrases that some users have taught."""
    rng, films = np.random.default_rng(3), _world().films
    catalog = [
        MovieText(title.text, film_catalog.genre_names(int(mask)))
        for title, mask in zip(films.titles, films.genres, strict=True)
    ]
    users = rng.normal(scale=0.1, size=(_TEXTS, factors.shape[1])).astype(np.float32)
    texts = Texts(np.arange(_TEXTS, dtype=np.int32), _written(), catalog[: len(factors)])
    return TasteMap.fit(texts, Factors(users, factors), likes)


def _newer(users: Array, offset: int) -> dict[str, Any]:
    """Return what the changed users have watched since."""
    rng, users = np.random.default_rng(4), np.repeat(users, _EVENTS_EACH)
    n = len(users)
    return {
        "kind": pl.repeat("watch", n, eager=True),
        "event_date": np.full(n, _AT, "datetime64[D]"),
        "event_time": np.full(n, _AT),
        "user_id": users,
        "movie_id": [scale_lake.name_of(i) for i in rng.integers(0, SITE.movies, n).tolist()],
        "minute": rng.integers(20, 120, n, np.int32),
        "kafka_partition": np.zeros(n, np.int32),
        "kafka_offset": np.arange(offset, offset + n),
        "topic": pl.repeat("movielog1", n, eager=True),
        "time_basis": pl.repeat("found", n, eager=True),
    }


def refreshed(folder: Path, usage: StageUsage, kind: str) -> None:
    """Run the function in a new environment: it reads the model, and the newer events."""
    store, version = FolderStore(folder), _MODELS[kind]
    shutil.rmtree(folder / overlay.PREFIX / version, ignore_errors=True)
    function = MemoryFunction()
    function.force_update(TrafficSplit(function.publish(version, ""), None, 0.0), "bench")
    logger, metrics = _reporting()

    def load(model_version: str) -> ServedModel:
        with usage.stage("load"):
            return served_model.load(store, model_version)

    lake = DeltaLake(str(folder / "lake"))
    deps = refresh.Dependencies(
        lake=lake,
        store=store,
        function=function,
        clock=SystemClock(),
        load_model=load,
        new_movies=movies.predictor(lake, refresh.NEW_MOVIE_PLACES),
        plausible=plausible_times.DEFAULT,
        code_version="bench",
        logger=logger,
        metrics=metrics,
    )
    with usage.stage("whole"):
        answer = refresh.refresh_lists(deps)["models"][version]
    if answer["changed_users"] != CHANGED:
        raise RuntimeError(f"{answer}: expected {CHANGED} changed users")


def implicit(folder: Path, usage: StageUsage) -> None:
    """Fold in and rank the same users as the library's users do."""
    store, version = FolderStore(folder), _MODELS["als"]
    model = served_model.load(store, version)
    stored = overlay_store.load(store, version, len(model.base.dataset.movie_ids))
    if stored is None:
        raise RuntimeError("there is no overlay: run the refresh first")
    rows = _histories(model, stored.state.overlay.user_ids, stored.state.recent)
    factors = model.base.fold_in.movies.copy()
    with threadpool_limits(limits=1, user_api="blas"):
        rival = AlternatingLeastSquares(
            factors=factors.shape[1],
            regularization=model.base.fold_in.regularization,
            num_threads=_THREADS,
        )
        rival.item_factors = factors
        with usage.stage("implicit"):
            for start in range(0, rows.shape[0], _RIVAL_AT_ONCE):
                some = rows[start : start + _RIVAL_AT_ONCE]
                rival.recommend(
                    np.arange(some.shape[0]), some, N=artifact.TOP_K, recalculate_user=True
                )


def _histories(model: ServedModel, user_ids: Array, recent: Any) -> Any:  # noqa: ANN401  scipy's
    """Return the users' confidences, old and new."""
    dataset, n_movies = model.base.dataset, len(model.base.dataset.movie_ids)
    confidence = 1 + model.base.alpha * dataset.strength
    shape = (len(dataset.user_ids) + 1, n_movies)
    # A row of nothing at the end is that of users without a history.
    indptr = np.append(dataset.indptr, dataset.indptr[-1])
    old = csr_matrix((confidence, dataset.movies, indptr), shape)
    found, known = rows_of(dataset.user_ids, user_ids)
    row_of = np.where(known, found, len(dataset.user_ids))
    kept = recent.movies < n_movies
    place = np.searchsorted(user_ids, recent.users[kept])
    weight = np.full(int(kept.sum()), 1 + model.base.alpha, np.float32)
    new = csr_matrix((weight, (place, recent.movies[kept])), (len(user_ids), n_movies))
    return csr_matrix(old[row_of].maximum(new))


def _reporting() -> tuple[Logger, Metrics]:
    return Logger(service="bench", level="WARNING"), Metrics(namespace="bench", service="bench")


STAGES: Final[Mapping[str, Callable[[Path, StageUsage], None]]] = {
    "prepare": prepare,
    "als": functools.partial(refreshed, kind="als"),
    "blend": functools.partial(refreshed, kind="blend"),
    "implicit": implicit,
}
"""In the order in which they run."""


def main() -> int:
    """Run the stage that the command line names, and print its usage as JSON."""
    usage = StageUsage()
    STAGES[sys.argv[2]](Path(sys.argv[1]), usage)
    print(json.dumps(usage.stages))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
