"""The comparison of models as a table: accuracy, cost of training, cost of lists, size.

Plain values: `columns` with unit, direction and definition, so that others can repeat a measure,
and `rows`, one a model, by the columns' names; None where a measure does not apply. Accuracy comes
from `offline_evaluation.judge`; costs of fits are given (`seconds`, `cpu_s`, `peak_memory_bytes`);
the costs of lists are measured here.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from movierec.model import offline_evaluation
from movierec.model.dataset import TRAIN, Dataset
from movierec.model.encoding import Array
from movierec.model.fitted import Exclusions, FittedModel
from movierec.model.held_out import HeldOut
from movierec.model.offline_evaluation import Evaluated
from movierec.model.popularity import Popularity
from movierec.model.production import Production
from movierec.model.ranking import LIST_LENGTH

PRODUCTION: Final = "production"
ITEM_KNN: Final = "item_knn"
RATING_MODEL: Final = "rating_model"

# Lists of so many users at once: enough for a chunk of each engine.
_USERS: Final = 2_000
_ALONE: Final = 15


@dataclass(frozen=True, slots=True)
class Column:
    """One measure."""

    name: str
    unit: str
    better: str
    """`higher`, `lower`, or empty."""
    definition: str


_ON_TEST_USERS: Final = "mean over the users who liked a movie in the held-out time, lists of 20"

_FIT: Final = "the fit on TRAIN; of the rating model, with its evaluation"

COLUMNS: Final = (
    Column("ndcg", "", "higher", f"NDCG@20, gains 0 and 1: {_ON_TEST_USERS}"),
    Column("ndcg_low", "", "", "lower end of its 95% interval, bootstrap over users"),
    Column("ndcg_high", "", "", "upper end"),
    Column("recall", "", "higher", f"share of the liked movies in the list: {_ON_TEST_USERS}"),
    Column("hit_rate", "", "higher", f"a liked movie is in the list: {_ON_TEST_USERS}"),
    Column("coverage", "", "higher", "share of the catalog in at least one of these lists"),
    Column("rmse", "stars", "lower", "root mean squared error of the held-out ratings, 1 to 5"),
    Column("users", "", "", "users that it was judged on"),
    Column("fit_cpu_s", "s", "lower", f"CPU time of all threads during {_FIT}"),
    Column("fit_s", "s", "lower", "its duration"),
    Column("fit_peak_mb", "MB", "lower", "peak resident memory of the process during the fit"),
    Column("list_ms", "ms", "lower", f"median time of one list alone, of {_ALONE} users"),
    Column("list_cpu_ms", "ms", "lower", f"CPU time a list, {_USERS:,} users at once or all"),
    Column("lists_per_s", "1/s", "higher", "lists a second, likewise"),
    Column("size_mb", "MB", "lower", "arrays of the fitted model; of production, its artifact"),
)


@dataclass(frozen=True, slots=True)
class Clocks:
    """Sources of time, in seconds: of the day and of this process's CPUs."""

    wall_s: Callable[[], float] = time.perf_counter
    cpu_s: Callable[[], float] = time.process_time


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """What is known of the models besides their metrics, each by the model's name."""

    fits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """`seconds`, `cpu_s` and `peak_memory_bytes` of the fit on TRAIN."""
    lists: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """What `list_costs` returns."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Models that were judged on the same users, with the costs of their lists."""

    evaluated: Evaluated
    product: str
    costs: Costs

    def table(
        self, metrics: Mapping[str, Any], fits: Mapping[str, Mapping[str, float]]
    ) -> dict[str, Any]:
        """Return the table; `metrics` are the evaluation's with what came after it."""
        return table(metrics, self.product, merged(Costs(fits), self.costs))


def judge(
    dataset: Dataset,
    product: str,
    models: Mapping[str, FittedModel],
    production: Production | None = None,
) -> Judged:
    """Judge models by name, and the popular list. All were fitted on TRAIN.

    `product` is the one whose lists are to be published.
    """
    others = {name: model for name, model in models.items() if name != product}
    found = offline_evaluation.judge(dataset, models[product], others=others, production=production)
    popularity = Popularity.overall(dataset, dataset.part == TRAIN)
    costs = measured(dataset, {**models, offline_evaluation.POPULARITY: popularity})
    if production and production.manifest:
        costs = merged(costs, of_artifact(production.manifest))
    return Judged(found, product, costs)


def measured(
    dataset: Dataset,
    models: Mapping[str, FittedModel],
    clocks: Clocks | None = None,
) -> Costs:
    """Return sizes and the costs of lists, which are made for test users."""
    test = HeldOut.of(dataset, _USERS)
    lists = {
        name: list_costs(model, test.users, test.exclusions, clocks or Clocks())
        for name, model in models.items()
    }
    return Costs({}, lists, {name: size_bytes(model) for name, model in models.items()})


def list_costs(
    model: FittedModel, users: Array, exclusions: Exclusions, clocks: Clocks
) -> dict[str, float]:
    """Return `list_ms`, `list_cpu_ms` and `lists_per_s`; see COLUMNS."""
    alone = []
    for user in users[:_ALONE]:
        began = clocks.wall_s()
        model.top(np.array([user]), LIST_LENGTH, exclusions)
        alone.append(clocks.wall_s() - began)
    wall, cpu = clocks.wall_s(), clocks.cpu_s()
    model.top(users, LIST_LENGTH, exclusions)
    wall, cpu = clocks.wall_s() - wall, clocks.cpu_s() - cpu
    return {
        "list_ms": 1e3 * float(np.median(alone)),
        "list_cpu_ms": 1e3 * cpu / len(users),
        "lists_per_s": len(users) / max(wall, 1e-9),
    }


def size_bytes(value: object) -> int:
    """Return the bytes of the arrays in a fitted model, each array once."""
    found: dict[int, int] = {}
    _collect(value, found)
    return sum(found.values())


def _collect(value: object, found: dict[int, int]) -> None:
    if isinstance(value, np.ndarray):
        found[id(value)] = value.nbytes
    elif isinstance(value, list | tuple):
        for each in value:
            _collect(each, found)
    elif isinstance(value, Mapping):
        _collect(list(value.values()), found)
    else:
        for name in _fields(value):
            _collect(getattr(value, name, None), found)


# The arrays of scipy's compressed matrices.
_SPARSE: Final = ("data", "indices", "indptr")


def _fields(value: object) -> Iterable[str]:
    if dataclasses.is_dataclass(value):
        return [each.name for each in dataclasses.fields(value)]
    if all(hasattr(value, name) for name in _SPARSE):
        return _SPARSE
    return getattr(value, "__dict__", {}).keys() if hasattr(value, "top") else ()


def table(metrics: Mapping[str, Any], product: str, costs: Costs) -> dict[str, Any]:
    """Return the table of evaluated models; `product` is the name of the one under test.

    Models of which only costs are known, as one that predicts ratings alone, have a row too.
    """
    accuracy = {
        product: metrics["model"],
        "popularity": metrics["popularity"],
        **metrics.get("others", {}),
    }
    rmse = metrics.get("rating", {}).get("model", {}).get("rmse")
    names = [*accuracy, *(name for name in costs.fits if name not in accuracy)]
    if rmse is not None and RATING_MODEL not in names:
        names.append(RATING_MODEL)
    return {
        "product": product,
        "columns": [dataclasses.asdict(column) for column in COLUMNS],
        "rows": [
            {
                "model": name,
                **_accuracy(accuracy.get(name, {})),
                "rmse": rmse if name == RATING_MODEL else None,
                **_fit(costs.fits.get(name, {})),
                **{c: costs.lists.get(name, {}).get(c) for c in _OF_LISTS},
                "size_mb": costs.sizes[name] / 1e6 if name in costs.sizes else None,
            }
            for name in names
        ],
    }


_OF_LISTS: Final = ("list_ms", "list_cpu_ms", "lists_per_s")


def _accuracy(found: Mapping[str, Any]) -> dict[str, Any]:
    low, high = found.get("intervals", {}).get("ndcg", (None, None))
    names = ("ndcg", "recall", "hit_rate", "coverage", "users")
    return {**{name: found.get(name) for name in names}, "ndcg_low": low, "ndcg_high": high}


def _fit(found: Mapping[str, float]) -> dict[str, float | None]:
    peak = found.get("peak_memory_bytes")
    return {
        "fit_cpu_s": found.get("cpu_s"),
        "fit_s": found.get("seconds"),
        "fit_peak_mb": None if peak is None else peak / 1e6,
    }


def total(stages: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the cost of a fit in several stages."""
    return {
        "seconds": sum(stage["seconds"] for stage in stages),
        "cpu_s": sum(stage["cpu_s"] for stage in stages),
        "peak_memory_bytes": max(stage["peak_memory_bytes"] for stage in stages),
    }


def of_artifact(manifest: Mapping[str, Any]) -> Costs:
    """Return what a published artifact's manifest says, as the row of PRODUCTION."""
    size = sum(each["size_bytes"] for each in manifest["files"].values())
    fit = manifest.get("stages", {}).get("fit_train")
    return Costs({PRODUCTION: fit} if fit else {}, {}, {PRODUCTION: size})


def merged(*costs: Costs) -> Costs:
    """Return costs of several origins in one."""
    return Costs(
        {name: each for one in costs for name, each in one.fits.items()},
        {name: each for one in costs for name, each in one.lists.items()},
        {name: each for one in costs for name, each in one.sizes.items()},
    )
