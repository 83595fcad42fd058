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
        limits = Limits(self.memory_bytes, self.remaining_s(), self.threads)
        return capacity.plan(self.size, given, limits)

    def evaluate(self, parameters: als.Parameters, beside: list_choice.Parameters) -> Evaluated:
        """Fit on TRAIN, choose whose lists are better, and evaluate that one."""
        lists_s = capacity.lists_s(self.size, parameters.factors, self.threads)
        reserve_s = lists_s + max(self.remaining_s() - lists_s, 0) / 2
        kept = self.data.part == TRAIN
        done, mixed = self._fit("train", kept, parameters, beside, reserve_s)
        with self.usage.stage("evaluation"):
            choice = list_choice.choose(self.data, mixed)
            metrics = offline_evaluation.evaluate(self.data, choice.model(mixed))
        with self.usage.stage("ratings"):
            metrics["rating"] = rating_model.evaluated(
                self.data,
                choice.model(mixed),
                rating_model.Parameters(),
                should_stop=lambda: self.remaining_s() < self._second_fit_s() + lists_s,
            )
        # What was evaluated is published: no more iterations than that had.
        return Evaluated(replace(parameters, iterations=done), beside, choice, metrics)

    def train(self, evaluated: Evaluated) -> Trained:
        """Fit on all interactions, and assemble the model with its lists."""
        parameters, beside, choice = evaluated.parameters, evaluated.beside, evaluated.choice
        reserve_s = capacity.lists_s(self.size, parameters.factors, self.threads)
        everything = np.ones(len(self.data.movies), np.bool_)
        done, mixed = self._fit("all", everything, parameters, beside, reserve_s)
        with self.usage.stage("lists"):
            model = list_assembly.assemble(self.data, choice.model(mixed), mixed.als.factors)
            neighbours = list_choice.neighbours(mixed).pack()
        return Trained(done, model, neighbours, choice.facts(mixed, beside))

    def _second_fit_s(self) -> float:
        """Return how long the fit on everything takes: somewhat longer than that on TRAIN did."""
        names = ("fit_train", "fit_items_train")
        return _LONGER * sum(self.usage.stages[name]["seconds"] for name in names)

    def _fit(
        self,
        on: str,
        keep: Array,
        parameters: als.Parameters,
        beside: list_choice.Parameters,
        reserve_s: float,
    ) -> tuple[int, Blend]:
        """Return the iterations done, and ALS and item-to-item weights of the kept interactions."""
        watch = IterationWatch(self.remaining_s, reserve_s)
        with self.usage.stage(f"fit_{on}"):
            factors = als.AlsModel.fit(
                self.data, keep, parameters, threads=self.threads, go_on=watch
            )
        with self.usage.stage(f"fit_items_{on}"):
            mixed = list_choice.blended(self.data, keep, factors, beside)
        return watch.iterations, mixed
