"""Ports of a release: the API's function, its canary's alarms, the topic, and who draws pages."""

from collections.abc import Mapping
from typing import Any, Protocol

from movierec.releases.traffic_split import Alias, TrafficSplit


class ServedFunction(Protocol):
    """The API's function: its published versions, and the alias that users come through.

    Every method may raise ReleaseError, ReleaseNotFoundError when the function does not exist,
    and UnavailableError.
    """

    name: str

    def alias(self) -> Alias | None:
        """Return the alias, None before the first release."""
        ...

    def update_alias(self, split: TrafficSplit, release_id: str, *, over: Alias | None) -> None:
        """Send users where a routing says, at once and as a whole.

        `over` is the alias that this was decided on, None to make the first one. Raises
        ReleaseConflictError when it is no longer as it was.
        """
        ...

    def force_update(self, split: TrafficSplit, release_id: str) -> None:
        """Send users where a routing says, whatever anybody else decided meanwhile."""
        ...

    def version_with(self, model_version: str) -> str | None:
        """Return the newest version of the present code with a model, None if there is none."""
        ...

    def publish(self, model_version: str, description: str) -> str:
        """Publish the present code with a model, and return the version."""
        ...

    def model_of(self, version: str) -> str | None:
        """Return the model that a version is pinned to, None for whatever is newest."""
        ...

    def invoke(self, version: str, event: Mapping[str, Any]) -> object:
        """Return a version's answer to an event, as JSON or text."""
        ...


class CanaryAlarms(Protocol):
    """The alarms on a canary's version, which live as long as its release.

    Every method can be repeated, and may raise UnavailableError and ReleaseError.
    """

    def create(self, version: str) -> None:
        """Watch a version that is about to get its first users."""
        ...

    def enable_missing_data(self, version: str) -> None:
        """Also raise the alarm when a version that has had users for a while tells nothing."""
        ...

    def delete(self, version: str) -> None:
        """Watch a version no more."""
        ...


class AsyncInvoker(Protocol):
    """A function that is called without waiting for its answer."""

    def invoke(self, event: Mapping[str, Any]) -> None:
        """Queue an event. Raises ReleaseError, UnavailableError, ConfigError when it is refused."""
        ...


class NotificationTopic(Protocol):
    """Where people subscribe to hear of releases. May raise UnavailableError, ReleaseError."""

    def publish(self, subject: str, text: str, attributes: Mapping[str, str]) -> str:
        """Send a message to all who subscribed, and return its id.

        `subject` has at most 100 characters of ASCII; `attributes` are for machines.
        """
        ...
