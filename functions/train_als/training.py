"""One training: fit on TRAIN and evaluate, fit on everything and make everybody's lists.

Each stage is measured, and ends in time: half of what is left is the first fit's, since the second
takes as long.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from functions.train_als import als, capacity, item_knn, list_choice, rating_model, taste
from functions.train_als.blend import Blend
from functions.train_als.capacity import Limits, Size
from functions.train_als.deadline import IterationWatch
from functions.train_als.list_choice import Choice
from movierec.model import artifact, comparison, cost_curve, license_cost, list_assembly
from movierec.model.artifact import Model
from movierec.model.dataset import TRAIN, Dataset
from movierec.model.encoding import Array, dump_npy
from movierec.model.fitted import FittedModel
from movierec.model.license_cost import Costs
from movierec.model.production import Production
from movierec.model.ratings import RatingPredictor
from movierec.runtime.stage_usage import StageUsage

# A fit on everything has a tenth more interactions than that on TRAIN, by default.
_LONGER: Final = 1.25

_FIT: Final = "fit_train"
_FIT_ITEMS: Final = "fit_items_train"
_ITEM_TO_ITEM: Final = "item_to_item"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What the models of TRAIN have shown."""

    parameters: als.Parameters
    """With as many iterations as there was time for."""
    beside: list_choice.Parameters
    choice: Choice
    metrics: dict[str, Any]
    files: Mapping[str, bytes]
    """Of the artifact: what later models are compared with."""


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What is published: the model, its optional files, and their part of the manifest."""

    iterations: int
    model: Model
    optional_files: Mapping[str, bytes]
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Training:
    """A training on a data set within limits."""

    data: Dataset
    usage: StageUsage
    remaining_s: Callable[[], float]
    memory_bytes: int
    threads: int

    @property
    def costs(self) -> Costs | None:
        """What plays cost, None where no movie has a cost."""
        return Costs.of(self.data.costs)

    @property
    def size(self) -> Size:
        """How much there is to train on."""
        return Size.of(self.data)

    def plan(self, given: Mapping[str, Any]) -> als.Parameters:
        """Return the parameters to train with. Raises UsageError, CapacityError."""
        return capacity.plan(self.size, given, self.limits)

    @property
    def limits(self) -> Limits:
        """What is left of memory and time."""
        return Limits(self.memory_bytes, self.remaining_s(), self.threads)

    def evaluate(
        self,
        parameters: als.Parameters,
        beside: list_choice.Parameters,
        production: Production | None,
    ) -> Evaluated:
        """Fit on TRAIN, choose whose lists are better, and compare all models."""
        kept, movies = self.data.part == TRAIN, beside.items.movies
        free_s = self.remaining_s() - self._reranked_s(beside, blends=True)
        limits = replace(self.limits, remaining_s=free_s)
        lacking = capacity.lacks_for_blend(self.size, movies, parameters, limits)
        after_s = self._after_s(parameters, beside, blends=not lacking)
        # Half of the time for fits: the other fit takes as long.
        reserve_s = after_s + max(self.remaining_s() - after_s, 0) / 2
        done, factors = self._fit("train", kept, parameters, reserve_s)
        mixed = None if lacking else self._blended("train", kept, factors, beside)
        with self.usage.stage("choice"):
            choice = list_choice.choose(self.data, mixed) if mixed else Choice.of_als(lacking)
        late = functools.partial(self._is_late, after_s)
        models: dict[str, FittedModel] = {list_choice.ALS: factors}
        if mixed:
            models |= {_ITEM_TO_ITEM: mixed.items, list_choice.BLEND: mixed}
        if mixed and not late():
            with self.usage.stage("fit_item_knn"):
                models[comparison.ITEM_KNN] = item_knn.fit(self.data, kept)
        inner = models[choice.lists_from]
        product = license_cost.cost_aware(inner, self.costs, beside.cost_weight)
        models[choice.lists_from] = product
        with self.usage.stage("evaluation"):
            found = comparison.judge(self.data, choice.lists_from, models, production)
        with self.usage.stage("fit_ratings"):
            wanted = rating_model.Parameters()
            predictor = rating_model.of_train(self.data, wanted, should_stop=late)
            rating = rating_model.described(self.data, product, predictor, wanted)
        metrics = {**found.evaluated.metrics, "rating": rating}
        if self.data.texts and not late():
            with self.usage.stage("evaluate_taste"):
                metrics["taste"] = taste.evaluated(self.data, self.data.texts, factors)
        metrics["license_cost"] = self._cost_curve(inner, predictor, beside.cost_weight, late)
        metrics["comparison"] = found.table(metrics, self._fits())
        # What was evaluated is published: no more iterations than that had.
        parameters = replace(parameters, iterations=done)
        return Evaluated(parameters, beside, choice, metrics, found.evaluated.files)

    def train(self, evaluated: Evaluated) -> Trained:
        """Fit on all interactions, and assemble the model with its lists."""
        parameters, beside, choice = evaluated.parameters, evaluated.beside, evaluated.choice
        everything = np.ones(len(self.data.movies), np.bool_)
        blends = choice.lists_from == list_choice.BLEND
        reserve_s = self._after_s(parameters, beside, blends=blends)
        done, factors = self._fit("all", everything, parameters, reserve_s)
        lacking = capacity.lacks_for_weights(
            self.size, beside.items.movies, parameters.factors, self.limits
        )
        # A blend that was evaluated is what is published, whatever the estimate says by now.
        fits = blends or not lacking
        mixed = self._blended("all", everything, factors, beside) if fits else None
        with self.usage.stage("lists"):
            chosen = choice.model(factors, mixed)
            product = license_cost.cost_aware(chosen, self.costs, beside.cost_weight)
            model = list_assembly.assemble(self.data, product, factors.factors)
            optional = list_choice.neighbours(mixed).pack() if mixed else {}
        if self.costs:
            optional[artifact.COSTS_FILE] = dump_npy(self.costs.usd)
        tastes, taste_facts = self._taste(everything, factors)
        facts = {
            **choice.facts(beside),
            "als_regularization": factors.regularization,
            "license_cost": license_cost.facts(self.costs, beside.cost_weight),
            **taste_facts,
        }
        return Trained(done, model, {**optional, **tastes}, facts)

    def _taste(
        self, keep: Array, factors: als.AlsModel
    ) -> tuple[Mapping[str, bytes], Mapping[str, Any]]:
        """Return the files of the map of tastes and its facts, where the data has texts."""
        if not self.data.texts:
            return {}, {}
        with self.usage.stage("fit_taste"):
            found = taste.fit(self.data, self.data.texts, keep, factors)
            return found.pack(), {"taste": found.facts}

    def _cost_curve(
        self,
        inner: FittedModel,
        ratings: RatingPredictor | None,
        weight: float,
        late: Callable[[], bool],
    ) -> dict[str, Any]:
        """Return what cheaper lists cost, or why that is not known."""
        if not self.costs:
            return cost_curve.skipped(license_cost.NO_COSTS)
        if late():
            return cost_curve.skipped("the training had no time left for it")
        with self.usage.stage("license_cost"):
            return cost_curve.of(self.data, inner, self.costs, ratings, weight)

    def _after_s(
        self, parameters: als.Parameters, beside: list_choice.Parameters, *, blends: bool
    ) -> float:
        """Return what must be left after the last fit of factors."""
        after_s = capacity.lists_s(self.size, parameters.factors, self.threads)
        after_s += self._reranked_s(beside, blends=blends)
        if blends:
            movies = beside.items.movies
            after_s += capacity.weights_s(self.size, movies) + capacity.blend_s(self.size, movies)
        return after_s

    def _reranked_s(self, beside: list_choice.Parameters, *, blends: bool) -> float:
        if not (beside.cost_weight and self.costs):
            return 0.0
        return capacity.reranked_s(self.size, blends=blends)

    def _is_late(self, after_s: float) -> bool:
        """Return whether what is left is needed for the fit on everything, and what follows."""
        stages = (self.usage.stages.get(name) for name in (_FIT, _FIT_ITEMS))
        fit_s = _LONGER * sum(stage["seconds"] for stage in stages if stage)
        return self.remaining_s() < fit_s + after_s

    def _fits(self) -> dict[str, Mapping[str, float]]:
        """Return what each model's fit on TRAIN has cost."""
        costs = {
            list_choice.ALS: (_FIT,),
            _ITEM_TO_ITEM: (_FIT_ITEMS,),
            list_choice.BLEND: (_FIT, _FIT_ITEMS),
            comparison.ITEM_KNN: ("fit_item_knn",),
            comparison.RATING_MODEL: ("fit_ratings",),
        }
        stages = self.usage.stages
        return {
            model: comparison.total([stages[name] for name in names])
            for model, names in costs.items()
            if all(name in stages for name in names)
        }

    def _fit(
        self, on: str, keep: Array, parameters: als.Parameters, reserve_s: float
    ) -> tuple[int, als.AlsModel]:
        """Return the iterations done, and the model of the kept interactions."""
        watch = IterationWatch(self.remaining_s, reserve_s)
        with self.usage.stage(f"fit_{on}"):
            factors = als.AlsModel.fit(
                self.data, keep, parameters, threads=self.threads, go_on=watch
            )
        return watch.iterations, factors

    def _blended(
        self, on: str, keep: Array, factors: als.AlsModel, beside: list_choice.Parameters
    ) -> Blend:
        with self.usage.stage(f"fit_items_{on}"):
            return list_choice.blended(self.data, keep, factors, beside)
