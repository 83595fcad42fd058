"""Manual releases: set the share, promote, pause, or release at once without gate and schedule.

Each is one step, logged and then applied. All may raise ReleaseError when the present state does
not allow it, ReleaseNotFoundError without a function or alias, ReleaseConflictError after a
concurrent change of the alias, and UnavailableError.
"""

from collections.abc import Callable
from dataclasses import dataclass

from movierec.errors import ReleaseConflictError, ReleaseError
from movierec.releases import log as release_log
from movierec.releases import traffic_split
from movierec.releases.log import StepName
from movierec.releases.registry import Releases
from movierec.releases.request import require_model
from movierec.releases.state_machine import ReleaseState
from movierec.releases.traffic_split import Alias, TrafficSplit


@dataclass(frozen=True, slots=True)
class ByHand:
    """An operator's actions on a function's releases."""

    releases: Releases

    def set_weights(self, canary_percent: float, reason: str = "") -> TrafficSplit:
        """Change the canary's share of requests."""
        return self._change("weigh", lambda r: traffic_split.weigh(r, canary_percent), reason)

    def promote(self, reason: str = "", *, revision: str | None = None) -> TrafficSplit:
        """Make the canary stable: it gets all requests.

        `revision` is the alias's that this was decided on: ReleaseConflictError if it has changed.
        """
        return self._change("promote", traffic_split.promote, reason, revision)

    def pause(self, release_id: str, reason: str = "", *, steps: int | None = None) -> ReleaseState:
        """Keep a release at its present share; automatic rollback stays active.

        `steps` is the number of steps of the state that this was decided on: ReleaseConflictError
        if the release has taken another since.
        """
        return self._mark(release_id, "pause", reason, steps)

    def resume(
        self, release_id: str, reason: str = "", *, steps: int | None = None
    ) -> ReleaseState:
        """Continue a paused release; its time at the present share begins anew.

        `steps` as of `pause`.
        """
        return self._mark(release_id, "resume", reason, steps)

    def release_now(
        self, model_version: str, reason: str = "", *, canary_percent: float | None = None
    ) -> tuple[str, TrafficSplit]:
        """Publish a version, test it, and route requests to it at once, without gate and schedule.

        The first release gets all requests; later ones `canary_percent` of them, or all if it is
        None. A version that fails its smoke test gets none: ReleaseError says why. A version that
        serves already is not published again: only its share changes. Returns the release and the
        traffic split.
        """
        require_model(self.releases.store, model_version)
        alias = self.releases.function.alias()
        version = self.releases.function.version_with(model_version)
        # Before anything is published: it raises while another canary is active.
        after = traffic_split.route(
            alias.split if alias else None, version or "new", canary_percent
        )
        if alias and version and version in (alias.split.stable, alias.split.canary):
            serving, name = version, _step_to(after, "weigh")
            moved = self._change(
                name, lambda r: traffic_split.route(r, serving, canary_percent), reason
            )
            return self.releases.release_behind(alias), moved
        return self._cut_now(alias, model_version, version, canary_percent, reason)

    def _change(
        self,
        name: StepName,
        change: Callable[[TrafficSplit], TrafficSplit],
        reason: str,
        revision: str | None = None,
    ) -> TrafficSplit:
        alias = self.releases.require_alias()
        if revision is not None and alias.revision != revision:
            raise ReleaseConflictError(
                f"the traffic split has changed since: {traffic_split.describe(alias.split)}; "
                f"{ReleaseConflictError.next_step}"
            )
        after, release = change(alias.split), self.releases.release_behind(alias)
        if after != alias.split:
            canary = str(alias.split.canary)
            model = self.releases.function.model_of(canary)
            self.releases.write_ahead.write(
                release, name, alias, model, canary, after=after, reason=reason
            )
            self.releases.function.update_alias(after, release, over=alias)
        return after

    def _cut_now(
        self,
        alias: Alias | None,
        model: str,
        version: str | None,
        canary_percent: float | None,
        reason: str,
    ) -> tuple[str, TrafficSplit]:
        release = self.releases.new_release_id()
        self.releases.write_ahead.write(release, "cut", alias, model, version, reason=reason)
        if version is None:
            description = release_log.describe_version(release, model, reason)
            version = self.releases.function.publish(model, description)
        tested = self.releases.run_smoke_test(release, alias, model, version)
        if tested.name == "abort":
            raise ReleaseError(
                f"version {version} of {self.releases.function.name} with model {model} failed its "
                f"smoke test and gets no requests: {tested.reason}"
            )
        after = traffic_split.route(alias.split if alias else None, version, canary_percent)
        name = _step_to(after, "route")
        self.releases.write_ahead.write(
            release, name, alias, model, version, after=after, reason=reason
        )
        self.releases.function.update_alias(after, release, over=alias)
        return release, after

    def _mark(
        self, release_id: str, name: StepName, reason: str, steps: int | None
    ) -> ReleaseState:
        found = self.releases.state_of(release_id)
        if steps is not None and found.steps != steps:
            raise ReleaseConflictError(
                f"release {release_id} has taken another step since: it is {found.state}; "
                f"{ReleaseConflictError.next_step}"
            )
        if found.closed:
            raise ReleaseError(
                f"release {release_id} is {found.state}: there is nothing to {name}; "
                "see `movierec release list`"
            )
        self.releases.write_ahead.write_next(
            found, name, self.releases.function.alias(), reason=reason
        )
        return self.releases.state_of(release_id)


def _step_to(after: TrafficSplit, share: StepName) -> StepName:
    """Return the step that leads to a split: `share` with a canary, else a promotion."""
    return share if after.canary else "promote"
