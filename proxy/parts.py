"""The proxy's parts, put together, and what they say of themselves."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from movierec.errors import ConfigError
from movierec.lake.ports import Lake
from movierec.ports import Clock
from proxy.answers import Api
from proxy.bulkhead import MAX_CALLS
from proxy.door import FrontDoor, World
from proxy.gate import Gate
from proxy.journal import LIMIT_BYTES, Journal
from proxy.metrics import Metrics
from proxy.popular import PopularList
from proxy.recorder import Recorder
from proxy.server import HEADER_TIMEOUT_S, Pages
from proxy.shipper import Shipper
from proxy.shipping import Shipping

_US: Final = 1_000_000

# What the last shipment may take at the end: a commit takes less than a second, and supervisors
# wait 30 s (ECS, Kubernetes) to 90 s (systemd) before they kill.
SHIP_WITHIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How one proxy runs. `folder` is parent to a folder of this `proxy_id`'s own."""

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
        """Where this proxy keeps its lock, its journal and its popular list."""
        return self.folder / f"proxy-{self.proxy_id}"


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything but the sockets."""

    settings: Settings
    world: World
    journal: Journal
    metrics: Metrics
    recorder: Recorder
    popular: PopularList
    gate: Gate
    shipping: Shipping

    @classmethod
    def made(cls, settings: Settings, world: World, open_lake: Callable[[], Lake]) -> Self:
        """Make the parts; resumes the journal. Raises ConfigError when it cannot be kept."""
        journal = _open_journal(settings, world.clock)
        metrics = Metrics()
        recorder = Recorder(journal)
        shipping = Shipping(
            journal,
            Shipper(open_lake, proxy_id=settings.proxy_id),
            recorder=recorder,
            metrics=metrics,
            flush_s=settings.flush_s,
        )
        popular = PopularList.in_file(settings.own_folder / "popular.json")
        parts = cls(settings, world, journal, metrics, recorder, popular, Gate(), shipping)
        parts._publish()
        return parts

    def door(self, api: Api) -> FrontDoor:
        """Return the door in front of this API."""
        return FrontDoor(
            api,
            gate=self.gate,
            popular=self.popular,
            records=self.recorder,
            metrics=self.metrics,
            world=self.world,
            deadline_s=self.settings.deadline_s,
        )

    def pages(self, door: FrontDoor) -> Pages:
        """Return the proxy's own pages."""
        version = {
            "code_version": self.settings.code_version,
            "proxy_id": self.settings.proxy_id,
        }
        return Pages(version, lambda: self._facts(door), lambda: door.can_serve, self.metrics)

    def _facts(self, door: FrontDoor) -> dict[str, object]:
        popular = self.popular.current
        return {
            "serves": door.can_serve,
            "api": "failing" if self.gate.is_open else "asked",
            "popular_list": popular.model_version if popular else None,
            "backlog_records": self.journal.backlog_records,
            "dropped_records": self.journal.dropped,
            "shipping": "stopped" if self.shipping.given_up else "running",
        }

    def _publish(self) -> None:
        """Publish what is true now; what happened is counted where it happens."""
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
            lambda: journal.torn,
        )
        gauge(
            "movierec_proxy_shipping_lag_seconds",
            "Age of the oldest record that the lake does not have yet, 0 without one.",
            self._lag_s,
        )
        gauge(
            "movierec_proxy_shipping_stopped",
            "1 when another proxy ships under this one's name.",
            lambda: self.shipping.given_up,
        )
        gauge(
            "movierec_proxy_circuit_open",
            "1 while the API is taken for dead.",
            lambda: self.gate.is_open,
        )

    def _lag_s(self) -> float:
        since_us = self.journal.since_us
        if since_us is None:
            return 0.0
        return max(0.0, self.world.clock.now().timestamp() - since_us / _US)


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
