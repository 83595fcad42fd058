"""One metric record a request, and a log line for each error.

The record is CloudWatch's Embedded Metric Format: a JSON line in the log that CloudWatch turns
into metrics. It also holds user, answer and model, so that it is the request's log line too: one
line a request, not two.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from dataclasses import dataclass

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics
from chalicelib.service import Answer

from movierec import metrics
from movierec.metrics import Metric

SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Request:
    """One request: Lambda's id for it, API Gateway's, and the route."""

    recommendation_id: str
    correlation_id: str
    route: str


class Telemetry:
    """Metrics and logs of an execution environment; `cold` until its first request has ended."""

    def __init__(self, *, function_version: str, slow_ms: float, logger: Logger) -> None:
        self._slow_ms = slow_ms
        self.cold = True
        self.logger = logger
        self._dimensions = metrics.live_dimensions(function_version)
        # An empty service: Powertools would add POWERTOOLS_SERVICE_NAME to the first set, and an
        # alarm on FunctionVersion alone would then see no metric at all.
        self._metrics = EphemeralMetrics(service="", namespace=metrics.NAMESPACE)

    def begin(self, request: Request) -> None:
        """Add this request's ids to the log lines that follow."""
        self.logger.set_correlation_id(request.correlation_id)

    def end(self, request: Request, answer: Answer, latency_ms: float) -> None:
        """Emit the request's record.

        A cold start is counted as such and never as slow: a new canary has more of them than the
        stable version, and would be rolled back for it.
        """
        self._count(metrics.REQUESTS, 1)
        self._count(metrics.ERROR, answer.status >= SERVER_ERROR)
        self._count(metrics.SLOW, latency_ms > self._slow_ms and not self.cold)
        self._count(metrics.FALLBACK, _is_fallback(answer))
        self._count(metrics.COLD_START, self.cold)
        self._count(metrics.LATENCY, round(latency_ms, 3))
        self._name_dimensions()
        for name, value in _facts(request, answer).items():
            self._metrics.add_metadata(name, value)
        self._metrics.flush_metrics()
        self.cold = False

    def _name_dimensions(self) -> None:
        # Not as default dimensions, which Powertools would add to every other set; a flush
        # clears these.
        first, *others = self._dimensions
        for name, value in first.items():
            self._metrics.add_dimension(name, value)
        for dimensions in others:
            self._metrics.add_dimensions(**dimensions)

    def _count(self, metric: Metric, value: float) -> None:
        self._metrics.add_metric(metric.name, metric.unit, float(value))


def _is_fallback(answer: Answer) -> bool:
    """Return whether the model did not know the request's user; /popular has none."""
    return answer.user_id is not None and answer.source == "popular"


def _facts(request: Request, answer: Answer) -> dict[str, object]:
    return {
        "recommendation_id": request.recommendation_id,
        "correlation_id": request.correlation_id,
        "route": request.route,
        "status": answer.status,
        "user_id": answer.user_id,
        "source": answer.source,
        "model_version": answer.model_version,
    }
