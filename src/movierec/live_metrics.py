"""Name, unit and dimensions of every live metric, here once.

The API emits them in CloudWatch's Embedded Metric Format; alarms in Terraform name them. A test
compares the two.
"""

from dataclasses import dataclass
from typing import Final, Literal

NAMESPACE: Final = "movierec"
"""CloudWatch namespace of everything that this product publishes itself."""

Unit = Literal["Count", "Milliseconds", "None", "Seconds"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's name and unit, as CloudWatch spells them."""

    name: str
    unit: Unit


REQUESTS: Final = Metric("Requests", "Count")
# 0 or 1 a request: their average is a rate, and LocalStack's alarms know no metric math.
ERROR: Final = Metric("Error", "Count")
SLOW: Final = Metric("Slow", "Count")
FALLBACK: Final = Metric("Fallback", "Count")
COLD_START: Final = Metric("ColdStart", "Count")
LATENCY: Final = Metric("LatencyMs", "Milliseconds")

LIVE_METRICS: Final = (REQUESTS, ERROR, SLOW, FALLBACK, COLD_START, LATENCY)
"""Of the API, once a request, by each of `live_dimensions`."""

API_SERVICE: Final = "movierec-api"


def live_dimensions(function_version: str) -> tuple[dict[str, str], ...]:
    """Return the sets of dimensions that the API emits every live metric by.

    The permanent alarms are on the service, which stays while versions come and go; a canary's
    are on its version. CloudWatch adds nothing up: an alarm sees a metric by exactly one of
    these sets, or not at all.
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
"""Of build_dataset and train_als, once a run, by dimension `service`."""
