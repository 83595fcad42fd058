"""Lambda `movierec-train-als`: train on a data set and publish a model version.

Event:

    {"dataset_id": "<id>",
     "parameters": {"factors": 64, ...},     optional, see als.Parameters and capacity
     "item_to_item": {"movies": 6000, ...},  optional, see edlae.Parameters
     "blend": {"als_share": 0.6, ...},       optional, see blend.Parameters
     "cost_weight": 0.5,                     optional, see movierec.model.license_cost; 0: off
     "tuned": true}                          optional: those of the newest `movierec tune`, or of
                                             "<data set>/<study>"; `parameters` come before them

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
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import implicit
import myfm
import numpy as np
import scipy
from aws_lambda_powertools import Logger, Metrics

from functions.train_als import als, list_choice
from functions.train_als.training import Training
from movierec import settings
from movierec.aws.lambda_handler import Context, lambda_handler
from movierec.aws.live_model import LiveModel
from movierec.aws.s3_store import S3Store
from movierec.errors import DatasetError, MovierecError, UsageError
from movierec.metrics import (
    MODEL_COVERAGE,
    MODEL_NDCG,
    MODEL_RECALL,
    NAMESPACE,
    TRAINING_DURATION,
)
from movierec.model import dataset as datasets
from movierec.model import production, publishing, tuning
from movierec.model.dataset import TEST, TRAIN
from movierec.model.offline_metrics import brief
from movierec.model.production import Production
from movierec.model.publishing import Origin
from movierec.ports import Clock, ObjectStore
from movierec.reports import model_report
from movierec.runtime.clock import SystemClock
from movierec.runtime.stage_usage import StageUsage

SERVICE: Final = "movierec-train-als"

_LIBRARIES: Final = {
    "scipy": scipy.__version__,
    "implicit": implicit.__version__,
    "myfm": myfm.__version__,
}


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
    in_production: Callable[[], str | None] = lambda: None
    """The model in production, None before the first release."""

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
            in_production=LiveModel(env.get(settings.API_FUNCTION, "")),
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
    training = Training(data, usage, remaining_s, deps.memory_bytes, deps.threads)
    parameters = training.plan(given)
    evaluated = training.evaluate(parameters, request.beside, _production(deps, data))
    metrics = evaluated.metrics
    deps.logger.info("model_evaluated", extra={"metrics": brief(metrics)})
    trained = training.train(evaluated)
    facts = {
        **origin.facts(),
        "parameters": asdict(parameters),
        "tuning": chosen.facts if chosen else tuning.DEFAULTS,
        "truncated": trained.iterations < parameters.iterations,
        "iterations_done": trained.iterations,
        **trained.facts,
        "metrics": metrics,
        "counts": asdict(training.size),
        "duration_s": (deps.clock.now() - started).total_seconds(),
        "peak_memory_bytes": usage.peak_memory_bytes,
        "stages": usage.stages,
        "threads": deps.threads,
    }
    optional = {**evaluated.files, **trained.optional_files}
    publishing.publish(deps.store, trained.model, facts, model_report.render(facts), optional)
    answer = {
        "model_version": facts["model_version"],
        "dataset_id": request.dataset_id,
        **facts["counts"],
        "truncated": facts["truncated"],
        "metrics": brief(metrics),
    }
    _report_metrics(deps, answer, facts["duration_s"])
    return answer


def _production(deps: Dependencies, data: datasets.Dataset) -> Production | None:
    """Return the model in production; training goes on without knowing it."""
    try:
        version = deps.in_production()
    except MovierecError as exc:
        deps.logger.warning("production_unknown", extra={"error": str(exc)})
        return None
    return production.load(deps.store, version, data) if version else None


@dataclass(frozen=True, slots=True)
class Request:
    """The event, parsed."""

    dataset_id: str
    parameters: Mapping[str, Any]
    beside: list_choice.Parameters
    tuned: bool | str

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
        return cls(dataset_id, parameters, list_choice.Parameters.read(event), tuned)


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
