"""One training: fit on TRAIN and evaluate, fit on everything and make everybody's lists.

Each stage is measured, and ends in time: half of what is left is the first fit's, since the second
takes as long.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from functions.train_als import als, capacity, list_choice, rating_model
from functions.train_als.blend import Blend
from functions.train_als.capacity import Limits, Size
from functions.train_als.deadline import IterationWatch
from functions.train_als.list_choice import Choice
from movierec.model import list_assembly, offline_evaluation
from movierec.model.artifact import Model
from movierec.model.dataset import TRAIN, Dataset
from movierec.model.encoding import Array
from movierec.runtime.stage_usage import StageUsage

# A fit on everything has a tenth more interactions than that on TRAIN, by default.
_LONGER: Final = 1.25


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What the models of TRAIN have shown."""

    parameters: als.Parameters
    """With as many iterations as there was time for."""
    beside: list_choice.Parameters
    choice: Choice
    metrics: dict[str, Any]


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
    def size(self) -> Size:
        """How much there is to train on."""
        return Size.of(self.data)

    def plan(self, given: Mapping[str, Any]) -> als.Parameters:
        """Return the parameters to train with. Raises UsageError, CapacityError."""
        return capacity.plan(self.size, given, self._limits())

    def evaluate(self, parameters: als.Parameters, beside: list_choice.Parameters) -> Evaluated:
        """Fit on TRAIN, choose whose lists are better, and evaluate that one."""
        kept, limits, items = self.data.part == TRAIN, self._limits(), beside.items.movies
        lacking = capacity.lacks_for_blend(self.size, items, parameters, limits)
        after_s = self._after_s(parameters, beside, blends=not lacking)
        # Half of the time for fits: the other fit takes as long.
        reserve_s = after_s + max(self.remaining_s() - after_s, 0) / 2
        done, factors = self._fit_factors("train", kept, parameters, reserve_s)
        mixed = None if lacking else self._fit_items("train", kept, factors, beside)
        with self.usage.stage("evaluation"):
            choice = (
                list_choice.choose(self.data, mixed) if mixed else list_choice.als_alone(lacking)
            )
            fitted = choice.model(mixed or factors)
            metrics = offline_evaluation.evaluate(self.data, fitted)
        with self.usage.stage("ratings"):
            metrics["rating"] = rating_model.evaluated(
                self.data,
                fitted,
                rating_model.Parameters(),
                should_stop=lambda: self.remaining_s() < self._second_fit_s() + after_s,
            )
        # What was evaluated is published: no more iterations than that had.
        return Evaluated(replace(parameters, iterations=done), beside, choice, metrics)

    def train(self, evaluated: Evaluated) -> Trained:
        """Fit on all interactions, and assemble the model with its lists."""
        parameters, beside, choice = evaluated.parameters, evaluated.beside, evaluated.choice
        everything = np.ones(len(self.data.movies), np.bool_)
        blends = choice.lists_from == list_choice.BLEND
        reserve_s = self._after_s(parameters, beside, blends=blends)
        done, factors = self._fit_factors("all", everything, parameters, reserve_s)
        lacking = capacity.lacks_for_weights(
            self.size, beside.items.movies, parameters.factors, self._limits()
        )
        # A blend that was evaluated is what is published, whatever the estimate says by now.
        fits = blends or not lacking
        mixed = self._fit_items("all", everything, factors, beside) if fits else None
        with self.usage.stage("lists"):
            fitted = choice.model(mixed or factors)
            model = list_assembly.assemble(self.data, fitted, factors.factors)
            neighbours = list_choice.neighbours(mixed).pack() if mixed else {}
        return Trained(done, model, neighbours, choice.facts(mixed or factors, beside))

    def _second_fit_s(self) -> float:
        """Return how long the fit on everything takes: somewhat longer than that on TRAIN did."""
        stages = (self.usage.stages.get(name) for name in ("fit_train", "fit_items_train"))
        return _LONGER * sum(stage["seconds"] for stage in stages if stage)

    def _limits(self) -> Limits:
        return Limits(self.memory_bytes, self.remaining_s(), self.threads)

    def _after_s(
        self, parameters: als.Parameters, beside: list_choice.Parameters, *, blends: bool
    ) -> float:
        """Return what must be left after the last fit of factors."""
        after_s = capacity.lists_s(self.size, parameters.factors, self.threads)
        if blends:
            movies = beside.items.movies
            after_s += capacity.weights_s(self.size, movies) + capacity.blend_s(self.size, movies)
        return after_s

    def _fit_factors(
        self, on: str, keep: Array, parameters: als.Parameters, reserve_s: float
    ) -> tuple[int, als.AlsModel]:
        """Return the iterations done, and their model of the kept interactions."""
        watch = IterationWatch(self.remaining_s, reserve_s)
        with self.usage.stage(f"fit_{on}"):
            factors = als.AlsModel.fit(
                self.data, keep, parameters, threads=self.threads, go_on=watch
            )
        return watch.iterations, factors

    def _fit_items(
        self, on: str, keep: Array, factors: als.AlsModel, beside: list_choice.Parameters
    ) -> Blend:
        with self.usage.stage(f"fit_items_{on}"):
            return list_choice.blended(self.data, keep, factors, beside)
