"""Name, unit and dimensions of every live metric.

The API emits them in CloudWatch's Embedded Metric Format; alarms in Terraform name them. A test
compares the two.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from movierec.errors import MetricsError

NAMESPACE: Final = "movierec"
"""CloudWatch namespace of the metrics that this product publishes."""

Unit = Literal["Count", "Milliseconds", "None", "Seconds"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's name and unit, as CloudWatch spells them."""

    name: str
    unit: Unit


def require_numbers(values: Mapping[Metric, float]) -> None:
    """Raise MetricsError for NaN and infinities: CloudWatch refuses them, its emulator does not."""
    for metric, value in values.items():
        if not math.isfinite(value):
            raise MetricsError(f"{metric.name} is {value}: expected a finite number")


REQUESTS: Final = Metric("Requests", "Count")
# 0 or 1 a request: their average is a rate, and LocalStack's alarms have no metric math.
ERROR: Final = Metric("Error", "Count")
SLOW: Final = Metric("Slow", "Count")
FALLBACK: Final = Metric("Fallback", "Count")
COLD_START: Final = Metric("ColdStart", "Count")
LATENCY: Final = Metric("LatencyMs", "Milliseconds")

LIVE_METRICS: Final = (REQUESTS, ERROR, SLOW, FALLBACK, COLD_START, LATENCY)
"""Of the API: once a request, for each of `live_dimensions`."""

API_SERVICE: Final = "movierec-api"


def live_dimensions(function_version: str) -> tuple[dict[str, str], ...]:
    """Return the dimension sets with which the API emits every live metric.

    The permanent alarms are on the service, a canary's on its version. CloudWatch does not
    aggregate over dimensions: an alarm sees a metric under exactly one of these sets, or not
    at all.
    """
    return {"FunctionVersion": function_version}, {"service": API_SERVICE}


DATASET_USERS: Final = Metric("DatasetUsers", "Count")
DATASET_MOVIES: Final = Metric("DatasetMovies", "Count")
DATASET_INTERACTIONS: Final = Metric("DatasetInteractions", "Count")
TRAINING_DURATION: Final = Metric("TrainingDuration", "Seconds")
MODEL_RECALL: Final = Metric("ModelRecall", "None")
MODEL_NDCG: Final = Metric("ModelNdcg", "None")
MODEL_COVERAGE: Final = Metric("ModelCoverage", "None")

RETRAINING_METRICS: Final = (
    DATASET_USERS,
    DATASET_MOVIES,
    DATASET_INTERACTIONS,
    TRAINING_DURATION,
    MODEL_RECALL,
    MODEL_NDCG,
    MODEL_COVERAGE,
)
"""Of build_dataset and train_als: once a run, by dimension `service`."""

REFRESHED_USERS: Final = Metric("RefreshedUsers", "Count")
REFRESH_DURATION: Final = Metric("RefreshDuration", "Seconds")

REFRESH_METRICS: Final = (REFRESHED_USERS, REFRESH_DURATION)
"""Of refresh: once a run, over all models that are served, by dimension `service`."""

LANGUAGE_MODEL_CALLS: Final = Metric("LanguageModelCalls", "Count")
LANGUAGE_MODEL_PROMPT_TOKENS: Final = Metric("LanguageModelPromptTokens", "Count")
LANGUAGE_MODEL_COMPLETION_TOKENS: Final = Metric("LanguageModelCompletionTokens", "Count")
LANGUAGE_MODEL_DOLLARS: Final = Metric("LanguageModelDollars", "None")
LANGUAGE_MODEL_CACHE_HITS: Final = Metric("LanguageModelCacheHits", "Count")
LANGUAGE_MODEL_WAITING: Final = Metric("LanguageModelWaiting", "Count")
LANGUAGE_MODEL_FAILURES: Final = Metric("LanguageModelFailures", "Count")

LANGUAGE_MODEL_METRICS: Final = (
    LANGUAGE_MODEL_CALLS,
    LANGUAGE_MODEL_PROMPT_TOKENS,
    LANGUAGE_MODEL_COMPLETION_TOKENS,
    LANGUAGE_MODEL_DOLLARS,
    LANGUAGE_MODEL_CACHE_HITS,
    LANGUAGE_MODEL_WAITING,
    LANGUAGE_MODEL_FAILURES,
)
"""Of refresh where a language model is set: once a run, by dimension `service`.

Dollars are what the budget counts: the tokens that the server names, at the prices that are set,
and the most that a request can cost where it names none. Waiting is the number of texts that the
run left to later ones. Failures are counted by `failure_dimensions` as well.
"""


def failure_dimensions(reason: str) -> dict[str, str]:
    """Return the dimension of one reason's failures, beside `service`."""
    return {"Reason": reason}


LAKE_ROWS_DELETED: Final = Metric("LakeRowsDeleted", "Count")
LAKE_FILES_COMPACTED: Final = Metric("LakeFilesCompacted", "Count")
LAKE_FILES_VACUUMED: Final = Metric("LakeFilesVacuumed", "Count")
LAKE_PARTITIONS_LEFT: Final = Metric("LakePartitionsLeft", "Count")

UPKEEP_METRICS: Final = (
    LAKE_ROWS_DELETED,
    LAKE_FILES_COMPACTED,
    LAKE_FILES_VACUUMED,
    LAKE_PARTITIONS_LEFT,
)
"""Of lake_maintenance: once a run, summed over all tables, by dimension `service`."""

INGEST_LAG: Final = Metric("IngestLag", "Count")
INGEST_LAG_SECONDS: Final = Metric("IngestLagSeconds", "Seconds")
INGEST_LINES: Final = Metric("IngestLines", "Count")
INGEST_SINCE_FLUSH: Final = Metric("IngestSinceFlushSeconds", "Seconds")
INGEST_EXPIRED: Final = Metric("IngestExpired", "Count")
INGEST_WAITING: Final = Metric("IngestWaiting", "Count")
QUARANTINE_RATE: Final = Metric("QuarantineRate", "None")

INGEST_METRICS: Final = (
    INGEST_LAG,
    INGEST_LAG_SECONDS,
    INGEST_LINES,
    INGEST_SINCE_FLUSH,
    INGEST_EXPIRED,
    INGEST_WAITING,
    QUARANTINE_RATE,
)
"""Of each ingest worker: once a minute, by `INGEST_DIMENSIONS`.

IngestLag counts the lines of its partitions that are in Kafka and not in the lake;
IngestLagSeconds is the age of the oldest of them, by Kafka's timestamp, and 0 without any; both
are published on idle minutes too, so that missing data means that no worker runs. QuarantineRate
is the share, 0 to 1, of the lines stored since it was last published; without lines, it is not.
By `quarantine_dimensions` it is each reason's share of the lines of the last ten minutes.
IngestLines counts the lines stored since it was last published, IngestSinceFlushSeconds is the time
since the last ones were, IngestExpired counts lines that Kafka deleted before they were read.
IngestWaiting is the number of the lake's lines that wait in quarantine for a movie to become known:
every worker publishes the same. It has no alarm: about one line in some thousands names a movie
that will never be known, so that it grows for ever. A catalog that fell behind shows in the
quarantine rate.
"""

INGEST_DIMENSIONS: Final = {"service": "movierec-ingest"}


def quarantine_dimensions(reason: str) -> dict[str, str]:
    """Return the dimensions of one reason's share of the lines."""
    return INGEST_DIMENSIONS | {"Reason": reason}


HIT_RATE: Final = Metric("HitRate", "None")
WATCH_FRACTION: Final = Metric("WatchFraction", "None")
MEAN_RATING: Final = Metric("MeanRating", "None")
SCORE: Final = Metric("Score", "None")
COVERAGE: Final = Metric("Coverage", "None")
NOVELTY: Final = Metric("Novelty", "None")
RESPONSE_TIME: Final = Metric("ResponseTimeMs", "Milliseconds")
LIST_COST: Final = Metric("ListCostUsd", "None")
WATCHED_COST: Final = Metric("WatchedCostUsd", "None")
WATCHED_COST_TOTAL: Final = Metric("WatchedCostTotalUsd", "None")

QUALITY_METRICS: Final = (
    HIT_RATE,
    WATCH_FRACTION,
    MEAN_RATING,
    SCORE,
    COVERAGE,
    NOVELTY,
    RESPONSE_TIME,
    LIST_COST,
    WATCHED_COST,
    WATCHED_COST_TOTAL,
    REQUESTS,
)
"""Of evaluate_online: once a run, by `quality_dimensions` of each model that served; and overall.

REQUESTS is here the number of lists that the others are computed from.
"""

OUTCOME_METRICS: Final = (
    HIT_RATE,
    WATCH_FRACTION,
    MEAN_RATING,
    SCORE,
    WATCHED_COST,
    WATCHED_COST_TOTAL,
)
"""Those of QUALITY_METRICS that say what users did with their lists."""

AVAILABILITY: Final = Metric("Availability", "None")
AVERAGE_RATING: Final = Metric("AverageRating", "None")
MODEL_AGE: Final = Metric("ModelAgeDays", "None")

OVERALL_METRICS: Final = (*QUALITY_METRICS, AVAILABILITY, AVERAGE_RATING, MODEL_AGE)
"""Of evaluate_online's scheduled runs, by dimension `service`."""

HIT_RATE_DIFFERENCE: Final = Metric("HitRateDifference", "None")
HIT_RATE_DIFFERENCE_LOWER: Final = Metric("HitRateDifferenceLower", "None")
HIT_RATE_DIFFERENCE_UPPER: Final = Metric("HitRateDifferenceUpper", "None")

VERDICT_METRICS: Final = (
    HIT_RATE_DIFFERENCE,
    HIT_RATE_DIFFERENCE_LOWER,
    HIT_RATE_DIFFERENCE_UPPER,
)
"""Of evaluate_online's evaluations of a release: canary less stable, by dimension `service`."""

QUALITY_SERVICE: Final = "movierec-quality"


def quality_dimensions(model_version: str | None) -> dict[str, str]:
    """Return the dimensions of a model version's quality metrics, or of the overall ones."""
    return {"ModelVersion": model_version} if model_version else {"service": QUALITY_SERVICE}
