"""Prometheus metrics of the proxy."""

from collections import deque
from collections.abc import Callable
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from proxy.answers import FailureReason, Source

PollOutcome = Literal["taken", "missed", "crashed"]
"""Outcome of one poll of the popular list; a crash is a bug of the proxy."""

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

# Fine up to the deadline (400 ms) and around the limits of the site (600 and 800 ms).
_BUCKETS_S: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3),
    *(0.4, 0.41, 0.45, 0.6, 0.8, 1.5),
)

# At the site's 20 requests/s: the last minute or so.
_SHARE_OVER: Final = 1_000


class Metrics:
    """Counters, histogram and gauges in a registry of their own: two proxies fit one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "movierec_proxy_requests",
            "Requests answered, by status and by where the recommendations came from.",
            ("source", "status"),
            registry=self._registry,
        )
        self._latency = Histogram(
            "movierec_proxy_latency_seconds",
            "From a request for recommendations to its answer, the journal included.",
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        failures = Counter(
            "movierec_proxy_upstream_failures",
            "Requests that the API did not answer, by reason.",
            ("reason",),
            registry=self._registry,
        )
        self._failures = {reason: failures.labels(reason) for reason in get_args(FailureReason)}
        self._answered = {
            (source, 200): self._requests.labels(source, "200") for source in get_args(Source)
        }
        self.shipped = Counter(
            "movierec_proxy_shipped_records",
            "Records appended to the lake by this process.",
            registry=self._registry,
        )
        self.dropped_details = Counter(
            "movierec_proxy_dropped_details",
            "Answers of the API whose detail was no JSON of the format, or too large, to record.",
            registry=self._registry,
        )
        polls = Counter(
            "movierec_proxy_popular_polls",
            "Polls of the API's popular list: taken, missed (no answer), crashed (a fault here).",
            ("outcome",),
            registry=self._registry,
        )
        self._polls = {outcome: polls.labels(outcome) for outcome in get_args(PollOutcome)}
        self._recent: deque[bool] = deque(maxlen=_SHARE_OVER)
        self._recent_fallbacks = 0
        self.gauge(
            "movierec_proxy_fallback_ratio",
            f"Share of fallbacks among the last {_SHARE_OVER} recommendations, 0-1.",
            self.fallback_ratio,
        )

    def count_answer(self, source: str, status: int) -> None:
        """Count one answer; `source` is "none" where nothing was recommended."""
        counter = self._answered.get((source, status))
        (counter or self._requests.labels(source, str(status))).inc()
        if source != "none":
            self._count_fallback(fallback=source == "fallback")

    def observe_latency(self, latency_s: float) -> None:
        """Observe how long a recommendation took."""
        self._latency.observe(latency_s)

    def count_failure(self, reason: FailureReason) -> None:
        """Count one request that the API did not answer."""
        self._failures[reason].inc()

    def count_poll(self, outcome: PollOutcome) -> None:
        """Count one poll of the popular list."""
        self._polls[outcome].inc()

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Register a gauge that is read at every scrape."""
        Gauge(name, text, registry=self._registry).set_function(read)

    def fallback_ratio(self) -> float:
        """Return the share of fallbacks among recent recommendations, 0 before the first."""
        return self._recent_fallbacks / len(self._recent) if self._recent else 0.0

    def render(self) -> bytes:
        """Return every metric in Prometheus' text format."""
        return generate_latest(self._registry)

    def _count_fallback(self, *, fallback: bool) -> None:
        if len(self._recent) == _SHARE_OVER:
            self._recent_fallbacks -= self._recent[0]
        self._recent.append(fallback)
        self._recent_fallbacks += fallback
