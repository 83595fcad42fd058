"""Lambda `movierec-train-als`: train on a data set and publish a model version.

Event:

    {"dataset_id": "<id>",
     "parameters": {"factors": 64, ...},     optional, see als.Parameters and capacity
     "tuned": true,                          optional: those of the newest `movierec tune`, or of
                                             "<data set>/<study>"; `parameters` come before them
     "item_to_item": {"movies": 6000, ...},  optional, see edlae.Parameters
     "blend": {"als_share": 0.6, ...}}       optional, see blend.Parameters

Answer, flat enough for the state machine to compare numbers in:

    {"model_version": ..., "dataset_id": ..., "users": n, "movies": n, "interactions": n,
     "metrics": {"recall": ..., "ndcg": ..., "popularity_ndcg": ..., "ndcg_gain": ..., ...}}

It may be retried without deduplication: each run publishes a version of its own, files first,
then the manifest by conditional put; none is served until the state machine releases the version
in the answer. A crash leaves files without a manifest, which are no version.

Memory and time are estimated before the training starts (`capacity`), and the deadline is watched:
a fit that would end too late is ended early, and the manifest says `"truncated": true`. Nothing is
written to /tmp. Past one Lambda, train with Spark on the same lake and write the same artifact.
"""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Self, cast

import implicit
import numpy as np
import scipy
from aws_lambda_powertools import Logger, Metrics

from functions.train_als import als, capacity, list_choice
from functions.train_als.capacity import Limits, Size
from functions.train_als.deadline import IterationWatch
from functions.train_als.list_choice import Choice
from movierec import settings
from movierec.aws.lambda_handler import Context, lambda_handler
from movierec.aws.s3_store import S3Store
from movierec.errors import DatasetError, UsageError
from movierec.metrics import (
    MODEL_COVERAGE,
    MODEL_NDCG,
    MODEL_RECALL,
    NAMESPACE,
    TRAINING_DURATION,
)
from movierec.model import dataset as datasets
from movierec.model import list_assembly, offline_evaluation, publishing, tuning
from movierec.model.artifact import Model
from movierec.model.dataset import TEST, TRAIN
from movierec.model.encoding import Array
from movierec.model.fitted import FittedModel
from movierec.model.offline_metrics import brief
from movierec.model.publishing import Origin
from movierec.ports import Clock, ObjectStore
from movierec.reports import model_report
from movierec.runtime.clock import SystemClock
from movierec.runtime.stage_usage import StageUsage

SERVICE: Final = "movierec-train-als"

_LIBRARIES: Final = {"scipy": scipy.__version__, "implicit": implicit.__version__}


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The function's dependencies."""

    store: ObjectStore
    clock: Clock
    code_version: str
    threads: int
    memory_bytes: int
    usage: Callable[[], StageUsage]
    logger: Logger
    metrics: Metrics

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Return the dependencies on AWS. Raises ConfigError."""
        return cls(
            store=S3Store.from_env(env, settings.ARTIFACTS_BUCKET),
            clock=SystemClock(),
            code_version=settings.require(env, settings.CODE_VERSION),
            threads=threads(os.process_cpu_count() or 1, env),
            memory_bytes=memory_bytes(env),
            usage=StageUsage,
            logger=Logger(service=SERVICE),
            metrics=Metrics(namespace=NAMESPACE, service=SERVICE),
        )


_MEMORY_SIZE: Final = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"

# One vCPU for each 1,769 MB (AWS Lambda Developer Guide, "Configure Lambda function memory"): a
# small function still sees two CPUs, but gets a share of their time.
_MB_A_CPU: Final = 1769


def threads(cpus: int, env: Mapping[str, str]) -> int:
    """Return the number of training threads: one for each vCPU of the Lambda's memory size."""
    memory_mb = int(env.get(_MEMORY_SIZE) or cpus * _MB_A_CPU)
    return max(1, min(cpus, math.ceil(memory_mb / _MB_A_CPU)))


def memory_bytes(env: Mapping[str, str]) -> int:
    """Return the Lambda's memory, or the machine's."""
    if memory_mb := env.get(_MEMORY_SIZE):
        return int(memory_mb) * 2**20
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def train_als(
    event: Mapping[str, Any],
    deps: Dependencies,
    remaining_s: Callable[[], float] = lambda: math.inf,
) -> dict[str, Any]:
    """Train and publish; see the module's docstring.

    Raises UsageError, ArtifactError, DatasetError, CapacityError.
    """
    started, request, usage = deps.clock.now(), Request.read(event), deps.usage()
    origin = Origin(started, deps.code_version, request.dataset_id, _LIBRARIES)
    chosen = tuning.chosen(deps.store, request.tuned) if request.tuned else None
    given = {**(chosen.parameters if chosen else {}), **request.parameters}
    with usage.stage("load"):
        data = datasets.load(deps.store, request.dataset_id)
    deps.logger.info("dataset_loaded", extra={"dataset_id": request.dataset_id})
    require_trainable(data)
    training = _Training(data, deps, usage, remaining_s, request.beside)
    parameters = training.plan(given)
    no_room = training.no_room(parameters)
    evaluated, choice, metrics = training.evaluate(parameters, no_room)
    deps.logger.info("model_evaluated", extra={"metrics": brief(metrics)})
    # What was evaluated is published: no more iterations than that had.
    done, model, optional = training.publishable(replace(parameters, iterations=evaluated), choice)
    facts = {
        **origin.facts(),
        "parameters": asdict(parameters),
        "tuning": chosen.facts if chosen else tuning.DEFAULTS,
        "truncated": done < parameters.iterations,
        "iterations_done": done,
        **choice.facts(request.beside),
        "metrics": metrics,
        "counts": asdict(training.size),
        "duration_s": (deps.clock.now() - started).total_seconds(),
        "peak_memory_bytes": usage.peak_memory_bytes,
        "stages": usage.stages,
        "threads": deps.threads,
    }
    publishing.publish(deps.store, model, facts, model_report.render(facts), optional)
    answer = {
        "model_version": facts["model_version"],
        "dataset_id": request.dataset_id,
        **facts["counts"],
        "truncated": facts["truncated"],
        "metrics": brief(metrics),
    }
    _report_metrics(deps, answer, facts["duration_s"])
    return answer


@dataclass(frozen=True, slots=True)
class Request:
    """The event, parsed."""

    dataset_id: str
    parameters: Mapping[str, Any]
    tuned: bool | str
    beside: list_choice.Parameters

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> Self:
        """Return the request; keys of other steps are ignored. Raises UsageError."""
        dataset_id, parameters = event.get("dataset_id"), event.get("parameters") or {}
        tuned = event.get("tuned") or False
        if not isinstance(dataset_id, str) or not dataset_id:
            raise UsageError(f"dataset_id is {dataset_id!r}: expected the id of a data set")
        if not isinstance(parameters, dict):
            raise UsageError(f"parameters is {parameters!r}: expected an object")
        if not isinstance(tuned, bool | str):
            raise UsageError(f"tuned is {tuned!r}: expected true, or <data set>/<study>")
        als.Parameters.read(parameters)
        return cls(dataset_id, parameters, tuned, list_choice.Parameters.read(event))


def require_trainable(data: datasets.Dataset) -> None:
    """Raise DatasetError for a data set that no model can be fitted to and evaluated on."""
    if not len(data.movies):
        raise DatasetError("the data set holds no interactions: build one from a lake with events")
    if not (np.isfinite(data.strength).all() and (data.strength >= 0).all()):
        raise DatasetError(
            "the data set holds strengths that are no numbers of 0 or more: build it anew, and see"
            " its quality report for values that no rating or minute has"
        )
    for part, name in ((TRAIN, "to train on"), (TEST, "to test on")):
        if not ((data.part == part) & (data.strength > 0)).any():
            raise DatasetError(f"the data set holds no positive interaction {name}: let the ingest"
                               " worker read more days, and build it anew")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Training:
    data: datasets.Dataset
    deps: Dependencies
    usage: StageUsage
    remaining_s: Callable[[], float]
    beside: list_choice.Parameters

    @property
    def size(self) -> Size:
        return Size.of(self.data)

    @property
    def limits(self) -> Limits:
        return Limits(self.deps.memory_bytes, self.remaining_s(), self.deps.threads)

    def plan(self, given: Mapping[str, Any]) -> als.Parameters:
        return capacity.plan(self.size, given, self.limits)

    def no_room(self, parameters: als.Parameters) -> str:
        return list_choice.no_room(self.size, parameters, self.beside, self.limits)

    def evaluate(
        self, parameters: als.Parameters, no_room: str
    ) -> tuple[int, Choice, dict[str, Any]]:
        """Return the iterations done on TRAIN, whose lists are better, and their metrics."""
        after_s = self._lists_s(parameters, blending=not no_room)
        # Half of the time for fits: the other fit takes as long.
        reserve_s = after_s + max(self.remaining_s() - after_s, 0) / 2
        kept = self.data.part == TRAIN
        done, factors = self._fit("fit_train", kept, parameters, reserve_s)
        choice, model = Choice.of_als(no_room, factors), cast("FittedModel", factors)
        if not no_room:
            with self.usage.stage("fit_items_train"):
                mixed = list_choice.blended(self.data, kept, factors, self.beside)
            with self.usage.stage("choice"):
                choice = list_choice.choose(self.data, mixed)
                model = choice.model(mixed)
        with self.usage.stage("evaluation"):
            return done, choice, offline_evaluation.evaluate(self.data, model)

    def publishable(
        self, parameters: als.Parameters, choice: Choice
    ) -> tuple[int, Model, dict[str, bytes]]:
        """Return the iterations done on all interactions, the model with its lists, more files."""
        reserve_s = self._lists_s(parameters, blending=choice.compared)
        everything = np.ones(len(self.data.movies), np.bool_)
        done, factors = self._fit("fit_all", everything, parameters, reserve_s)
        model, optional = cast("FittedModel", factors), dict[str, bytes]()
        if choice.compared:
            with self.usage.stage("fit_items_all"):
                mixed = list_choice.blended(self.data, everything, factors, self.beside)
                model, optional = choice.model(mixed), list_choice.neighbours(mixed).pack()
        with self.usage.stage("lists"):
            return done, list_assembly.assemble(self.data, model, factors.factors), optional

    def _lists_s(self, parameters: als.Parameters, *, blending: bool) -> float:
        found = capacity.lists_s(self.size, parameters.factors, self.deps.threads)
        return found + (list_choice.blend_s(self.size, self.beside.items) if blending else 0)

    def _fit(
        self, stage: str, keep: Array, parameters: als.Parameters, reserve_s: float
    ) -> tuple[int, als.AlsModel]:
        watch = IterationWatch(self.remaining_s, reserve_s)
        with self.usage.stage(stage):
            fitted = als.AlsModel.fit(
                self.data, keep, parameters, threads=self.deps.threads, go_on=watch
            )
        return watch.iterations, fitted


def _report_metrics(deps: Dependencies, answer: Mapping[str, Any], duration_s: float) -> None:
    deps.logger.info("model_published", extra={"answer": dict(answer), "duration_s": duration_s})
    values = {
        TRAINING_DURATION: duration_s,
        MODEL_RECALL: answer["metrics"]["recall"],
        MODEL_NDCG: answer["metrics"]["ndcg"],
        MODEL_COVERAGE: answer["metrics"]["coverage"],
    }
    for metric, value in values.items():
        deps.metrics.add_metric(metric.name, metric.unit, value)
    deps.metrics.flush_metrics()


def _respond(event: Mapping[str, Any], deps: Dependencies, context: Context) -> dict[str, Any]:
    return train_als(event, deps, lambda: context.get_remaining_time_in_millis() / 1000)


handler = lambda_handler(Dependencies.from_env, _respond)
