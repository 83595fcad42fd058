"""Lambda `movierec-train-als`: train on a data set and publish a model version.

Event:

    {"dataset_id": "<id>", "parameters": {"factors": 64, ...}}     see als.Parameters; optional

Answer, flat enough for the state machine to compare numbers in:

    {"model_version": ..., "dataset_id": ..., "users": n, "movies": n, "interactions": n,
     "metrics": {"recall": ..., "ndcg": ..., "popularity_ndcg": ..., "ndcg_gain": ..., ...}}

It may be retried without deduplication: each run publishes a version of its own, files first,
then the manifest by conditional put; none is served until the state machine releases the version
in the answer. A crash leaves files without a manifest, which are no version.

Memory: 47 million interactions of 1 million users and 27,000 movies peaked at 3.6 GB with 64
factors. Time: the library alone takes 11 s an iteration and a minute for a million lists on 2 idle
cores, so 15 iterations, trained twice, should end in 8 minutes; a Lambda of 10 GB has 6 cores and
15 minutes. Nothing is written to /tmp. Past that, train with Spark on the same lake and write the
same artifact.
"""

import math
import os
import resource
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import implicit
import numpy as np
import numpy.typing as npt
import scipy
from aws_lambda_powertools import Logger, Metrics

from functions.train_als import als
from movierec import settings
from movierec.aws.lambda_handler import lambda_handler
from movierec.aws.s3_store import S3Store
from movierec.errors import UsageError
from movierec.metrics import (
    MODEL_COVERAGE,
    MODEL_NDCG,
    MODEL_RECALL,
    NAMESPACE,
    TRAINING_DURATION,
)
from movierec.model import dataset as datasets
from movierec.model import list_assembly, offline_evaluation, publishing
from movierec.model.dataset import TRAIN
from movierec.model.offline_metrics import brief
from movierec.model.publishing import Origin
from movierec.ports import Clock, ObjectStore
from movierec.reports import model_report
from movierec.runtime.clock import SystemClock

SERVICE: Final = "movierec-train-als"

_LIBRARIES: Final = {"scipy": scipy.__version__, "implicit": implicit.__version__}


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The function's dependencies."""

    store: ObjectStore
    clock: Clock
    code_version: str
    threads: int
    peak_memory_bytes: Callable[[], int]
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
            peak_memory_bytes=peak_memory_bytes,
            logger=Logger(service=SERVICE),
            metrics=Metrics(namespace=NAMESPACE, service=SERVICE),
        )


# One vCPU for each 1,769 MB (AWS Lambda Developer Guide, "Configure Lambda function memory"): a
# small function still sees two CPUs, but gets a share of their time.
_MB_A_CPU: Final = 1769


def threads(cpus: int, env: Mapping[str, str]) -> int:
    """Return the number of training threads: one for each vCPU of the Lambda's memory size."""
    memory_mb = int(env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") or cpus * _MB_A_CPU)
    return max(1, min(cpus, math.ceil(memory_mb / _MB_A_CPU)))


def peak_memory_bytes() -> int:
    """Return this process's peak resident memory; Linux reports KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def train_als(event: Mapping[str, Any], deps: Dependencies) -> dict[str, Any]:
    """Train and publish; see the module's docstring.

    Raises UsageError, ArtifactError, DatasetError.
    """
    started, (dataset_id, parameters) = deps.clock.now(), read(event)
    origin = Origin(started, deps.code_version, dataset_id, _LIBRARIES)
    data = datasets.load(deps.store, dataset_id)
    deps.logger.info("dataset_loaded", extra={"dataset_id": dataset_id})
    metrics = offline_evaluation.evaluate(data, _fit(data, data.part == TRAIN, parameters, deps))
    deps.logger.info("model_evaluated", extra={"metrics": brief(metrics)})
    fitted = _fit(data, np.ones(len(data.movies), np.bool_), parameters, deps)
    model = list_assembly.assemble(data, fitted, fitted.factors)
    facts = {
        **origin.facts(),
        "parameters": asdict(parameters),
        "metrics": metrics,
        "counts": _counts(data),
        "duration_s": (deps.clock.now() - started).total_seconds(),
        "peak_memory_bytes": deps.peak_memory_bytes(),
        "threads": deps.threads,
    }
    publishing.publish(deps.store, model, facts, model_report.render(facts))
    answer = {
        "model_version": facts["model_version"],
        "dataset_id": dataset_id,
        **facts["counts"],
        "metrics": brief(metrics),
    }
    _report_metrics(deps, answer, facts["duration_s"])
    return answer


def read(event: Mapping[str, Any]) -> tuple[str, als.Parameters]:
    """Return data set and parameters; keys of other steps are ignored. Raises UsageError."""
    dataset_id, parameters = event.get("dataset_id"), event.get("parameters") or {}
    if not isinstance(dataset_id, str) or not dataset_id:
        raise UsageError(f"dataset_id is {dataset_id!r}: expected the id of a data set")
    if not isinstance(parameters, dict):
        raise UsageError(f"parameters is {parameters!r}: expected an object")
    return dataset_id, als.Parameters.read(parameters)


def _fit(
    data: datasets.Dataset,
    keep: npt.NDArray[np.bool_],
    parameters: als.Parameters,
    deps: Dependencies,
) -> als.AlsModel:
    return als.AlsModel.fit(data, keep, parameters, threads=deps.threads)


def _counts(data: datasets.Dataset) -> dict[str, int]:
    return {
        "users": len(data.user_ids),
        "movies": len(data.movie_ids),
        "interactions": len(data.movies),
    }


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


handler = lambda_handler(Dependencies.from_env, lambda event, found, _: train_als(event, found))
