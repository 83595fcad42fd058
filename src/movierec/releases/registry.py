"""The releases of one function: their ports, and shared reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from movierec.errors import ReleaseNotFoundError
from movierec.ports import Clock, ObjectStore
from movierec.releases import log as release_log
from movierec.releases import smoke_test, state_machine
from movierec.releases.log import ReleaseLog, Step, StepName
from movierec.releases.ports import CanaryAlarms, NotificationTopic, ServedFunction
from movierec.releases.state_machine import ReleaseState
from movierec.releases.traffic_split import ALIAS, Alias, TrafficSplit
from movierec.releases.write_ahead import WriteAhead


@dataclass(frozen=True, slots=True)
class Releases:
    """Ports of a function's releases.

    `Orchestrator` uses them for the state machine, `ByHand` for an operator, `roll_back` for
    alarms and for both. All may raise ReleaseNotFoundError without a function or alias, and
    UnavailableError.
    """

    function: ServedFunction
    log: ReleaseLog
    clock: Clock
    alarms: CanaryAlarms
    topic: NotificationTopic
    link: Callable[[str], str]
    """URL of an object of the artifacts bucket, by its key."""

    @property
    def store(self) -> ObjectStore:
        """Return the artifacts bucket."""
        return self.log.store

    @property
    def write_ahead(self) -> WriteAhead:
        """Return the write-ahead log of steps."""
        return WriteAhead(self.function, self.log)

    def split(self) -> TrafficSplit | None:
        """Return the traffic split, None before the first release."""
        alias = self.function.alias()
        return alias.split if alias else None

    def models(self, split: TrafficSplit) -> Mapping[str, str | None]:
        """Return the model that each version of a split is pinned to."""
        versions = (split.stable, split.canary)
        return {version: self.function.model_of(version) for version in versions if version}

    def state_of(self, release_id: str) -> ReleaseState:
        """Return a release's state. Raises ReleaseNotFoundError."""
        return state_machine.state_of(self.log.steps(release_id, holds=False))

    def run_smoke_test(self, release: str, alias: Alias | None, model: str, version: str) -> Step:
        """Test a version, and write the step "smoke", or "abort" with the faults as reason."""
        faults = "; ".join(smoke_test.run(self.function, version, model))
        name: StepName = "abort" if faults else "smoke"
        return self.write_ahead.write(release, name, alias, model, version, reason=faults)

    def require_alias(self) -> Alias:
        """Return the alias. Raises ReleaseNotFoundError before the first release."""
        alias = self.function.alias()
        if alias is None:
            raise ReleaseNotFoundError(
                f"{self.function.name} has no alias {ALIAS}: {ReleaseNotFoundError.next_step}"
            )
        return alias

    def release_behind(self, alias: Alias) -> str:
        """Return the release that last moved the alias, a new one if that has no record."""
        return alias.release_id or self.new_release_id()

    def new_release_id(self) -> str:
        """Return a name for a release that begins now."""
        return release_log.release_id(self.clock.now())
