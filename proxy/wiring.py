"""Dependency wiring of the proxy, its health report and its gauges."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from movierec.errors import ConfigError
from movierec.lake.ports import Lake
from movierec.ports import Clock
from proxy.answers import Api
from proxy.bulkhead import MAX_CALLS
from proxy.circuit_breaker import CircuitBreaker
from proxy.group_commit import GroupCommit
from proxy.handler import Dependencies, RecommendHandler
from proxy.journal import LIMIT_BYTES, Journal
from proxy.lake_writer import LakeWriter
from proxy.lake_writer_task import LakeWriterTask
from proxy.popular_list import PopularList
from proxy.prometheus_metrics import Metrics
from proxy.server import HEADER_TIMEOUT_S, Pages

_US: Final = 1_000_000

# Time for the last flush at shutdown: a commit takes less than a second, and supervisors wait 30 s
# (ECS, Kubernetes) to 90 s (systemd) before SIGKILL.
SHIP_WITHIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Configuration of one proxy. `folder` is the parent of its own folder, named by `proxy_id`."""

    api_url: str
    folder: Path
    host: str = "127.0.0.1"
    port: int = 8082
    proxy_id: str = "1"
    deadline_s: float = 0.4
    api_calls: int = MAX_CALLS
    flush_s: float = 5.0
    header_timeout_s: float = HEADER_TIMEOUT_S
    ship_within_s: float = SHIP_WITHIN_S
    journal_limit_bytes: int = LIMIT_BYTES
    code_version: str = "unknown"

    @property
    def own_folder(self) -> Path:
        """Folder of this proxy's lock, journal and popular list."""
        return self.folder / f"proxy-{self.proxy_id}"


@dataclass(frozen=True, slots=True)
class Container:
    """The wired components, all but the sockets."""

    settings: Settings
    deps: Dependencies
    journal: Journal
    metrics: Metrics
    group_commit: GroupCommit
    popular: PopularList
    breaker: CircuitBreaker
    lake_writer: LakeWriterTask

    @classmethod
    def build(cls, settings: Settings, deps: Dependencies, open_lake: Callable[[], Lake]) -> Self:
        """Wire the components; recovers the journal. Raises ConfigError if it is unusable."""
        journal = _open_journal(settings, deps.clock)
        metrics = Metrics()
        group_commit = GroupCommit(journal)
        lake_writer = LakeWriterTask(
            journal,
            LakeWriter(open_lake, proxy_id=settings.proxy_id),
            group_commit=group_commit,
            metrics=metrics,
            flush_s=settings.flush_s,
        )
        popular = PopularList.in_file(settings.own_folder / "popular.json")
        container = cls(
            settings,
            deps,
            journal,
            metrics,
            group_commit,
            popular,
            CircuitBreaker(),
            lake_writer,
        )
        container._register_gauges()
        return container

    def handler(self, api: Api) -> RecommendHandler:
        """Return the request handler for this API."""
        return RecommendHandler(
            api,
            breaker=self.breaker,
            popular=self.popular,
            recorder=self.group_commit,
            metrics=self.metrics,
            deps=self.deps,
            deadline_s=self.settings.deadline_s,
        )

    def pages(self, handler: RecommendHandler) -> Pages:
        """Return /healthz, /version and /metrics."""
        version = {
            "code_version": self.settings.code_version,
            "proxy_id": self.settings.proxy_id,
        }
        return Pages(
            version, lambda: self._health(handler), lambda: handler.can_serve, self.metrics
        )

    def _health(self, handler: RecommendHandler) -> dict[str, object]:
        popular = self.popular.current
        return {
            "serves": handler.can_serve,
            "api": "failing" if self.breaker.is_open else "asked",
            "popular_list": popular.model_version if popular else None,
            "backlog_records": self.journal.backlog_records,
            "dropped_records": self.journal.dropped,
            "shipping": "stopped" if self.lake_writer.given_up else "running",
        }

    def _register_gauges(self) -> None:
        """Register gauges of present state; counters are incremented where the event happens."""
        gauge, journal = self.metrics.gauge, self.journal
        gauge(
            "movierec_proxy_journal_backlog_records",
            "Records that the lake does not have yet.",
            lambda: journal.backlog_records,
        )
        gauge(
            "movierec_proxy_journal_backlog_bytes",
            "Size on disk of the records that the lake does not have yet.",
            lambda: journal.backlog_bytes,
        )
        gauge(
            "movierec_proxy_journal_dropped_records",
            "Records dropped since the start, because the disk or its limit was full.",
            lambda: journal.dropped,
        )
        gauge(
            "movierec_proxy_journal_torn_tails",
            "Half-written lines that were cut at the start.",
            lambda: journal.torn_tails,
        )
        gauge(
            "movierec_proxy_shipping_lag_seconds",
            "Age of the oldest record that the lake does not have yet, 0 without one.",
            self._lag_s,
        )
        gauge(
            "movierec_proxy_shipping_stopped",
            "1 when another proxy ships under this one's name.",
            lambda: self.lake_writer.given_up,
        )
        gauge(
            "movierec_proxy_circuit_open",
            "1 while the API is taken for dead.",
            lambda: self.breaker.is_open,
        )

    def _lag_s(self) -> float:
        since_us = self.journal.since_us
        if since_us is None:
            return 0.0
        return max(0.0, self.deps.clock.now().timestamp() - since_us / _US)


def _open_journal(settings: Settings, clock: Clock) -> Journal:
    folder = settings.own_folder / "journal"
    try:
        return Journal(
            folder,
            first_sequence=int(clock.now().timestamp() * _US),
            limit_bytes=settings.journal_limit_bytes,
        )
    except OSError as exc:
        raise ConfigError(f"cannot keep a journal in {folder}: {exc.strerror or exc}") from exc
