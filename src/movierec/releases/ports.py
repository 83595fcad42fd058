"""Ports of a release: the API's function, canary alarms, notification topic, async invoker."""

from collections.abc import Mapping
from typing import Any, Protocol

from movierec.releases.traffic_split import Alias, TrafficSplit


class ServedFunction(Protocol):
    """The API's function: its published versions, and the alias that routes requests to them.

    Every method may raise ReleaseError, ReleaseNotFoundError when the function does not exist,
    and UnavailableError.
    """

    name: str

    def alias(self) -> Alias | None:
        """Return the alias, None before the first release."""
        ...

    def update_alias(self, split: TrafficSplit, release_id: str, *, over: Alias | None) -> None:
        """Set the alias's traffic split atomically.

        `over` is the alias that this was decided on, None to create it. Raises
        ReleaseConflictError when its revision has changed since.
        """
        ...

    def force_update(self, split: TrafficSplit, release_id: str) -> None:
        """Set the alias's traffic split whatever its revision."""
        ...

    def version_with(self, model_version: str) -> str | None:
        """Return the newest version of the present code with a model, None if there is none."""
        ...

    def publish(self, model_version: str, description: str) -> str:
        """Publish the present code with a model, and return the version."""
        ...

    def model_of(self, version: str) -> str | None:
        """Return the model that a version is pinned to, None if it serves the newest."""
        ...

    def invoke(self, version: str, event: Mapping[str, Any]) -> object:
        """Return a version's answer to an event, as JSON or text."""
        ...


class CanaryAlarms(Protocol):
    """The alarms on a canary's version, which exist as long as its release.

    Every method is idempotent, and may raise UnavailableError and ReleaseError.
    """

    def create(self, version: str) -> None:
        """Create the alarms of a version that is about to get its first requests."""
        ...

    def enable_missing_data(self, version: str) -> None:
        """Treat missing data as breaching, once a version has had requests for a while."""
        ...

    def delete(self, version: str) -> None:
        """Delete a version's alarms."""
        ...


class AsyncInvoker(Protocol):
    """Invokes a function asynchronously."""

    def invoke(self, event: Mapping[str, Any]) -> None:
        """Queue an event. Raises ReleaseError, UnavailableError, ConfigError when it is refused."""
        ...


class NotificationTopic(Protocol):
    """The topic for release notifications. May raise UnavailableError, ReleaseError."""

    def publish(self, subject: str, text: str, attributes: Mapping[str, str]) -> str:
        """Publish a message and return its id.

        `subject` has at most 100 characters of ASCII; `attributes` are for subscribed programs.
        """
        ...
