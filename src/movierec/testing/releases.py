"""In-memory ports of releases: function, canary alarms, notification topic, async invoker.

They pass the same contract suite as the implementations in `movierec.aws`.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from movierec.api_contract import FUNCTION_VERSION, MODEL_VERSION
from movierec.errors import ReleaseConflictError, ReleaseNotFoundError, UnavailableError
from movierec.releases.traffic_split import Alias, TrafficSplit

Answer = Callable[[str, str, Mapping[str, Any]], object]


def answer_well(version: str, model_version: str, _event: Mapping[str, Any]) -> object:
    """Answer as a healthy API."""
    headers = {FUNCTION_VERSION: version, MODEL_VERSION: model_version}
    return {"statusCode": 200, "headers": headers, "body": "a,b"}


@dataclass(slots=True)
class MemoryFunction:
    """A function with versions and one alias; `deploy` changes its code.

    `answer` computes a version's answer to an event. The next `fail_updates` changes of the alias
    raise UnavailableError and change nothing; the next `lose_answers` change it and raise; the next
    `fail_reads` readings of the alias raise.
    """

    name: str = "api"
    answer: Answer = answer_well
    fail_updates: int = 0
    lose_answers: int = 0
    fail_reads: int = 0
    _code: int = 1
    _versions: list[tuple[int, str]] = field(default_factory=list)
    _alias: Alias | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def deploy(self) -> None:
        """Replace the code that the next version is published from."""
        self._code += 1

    def alias(self) -> Alias | None:
        """Return the alias, None before the first release."""
        self._fail("fail_reads")
        return self._alias

    def update_alias(self, split: TrafficSplit, release_id: str, *, over: Alias | None) -> None:
        """Set the alias's traffic split. Raises ReleaseConflictError for a stale revision."""
        with self._lock:
            self._fail("fail_updates")
            if (self._alias and self._alias.revision) != (over and over.revision):
                raise ReleaseConflictError(f"alias of {self.name} was moved meanwhile")
            self._put(split, release_id)
            self._fail("lose_answers")

    def force_update(self, split: TrafficSplit, release_id: str) -> None:
        """Set the alias's traffic split whatever its revision."""
        with self._lock:
            self._fail("fail_updates")
            self._put(split, release_id)
            self._fail("lose_answers")

    def version_with(self, model_version: str) -> str | None:
        """Return the newest version of the present code with a model, None if there is none."""
        wanted = (self._code, model_version)
        found = [n for n, made in enumerate(self._versions, 1) if made == wanted]
        return str(found[-1]) if found else None

    def publish(self, model_version: str, description: str) -> str:  # noqa: ARG002  the port's
        """Publish the present code with a model, and return the version."""
        with self._lock:
            self._versions.append((self._code, model_version))
            return str(len(self._versions))

    def model_of(self, version: str) -> str | None:
        """Return the model that a version is pinned to."""
        if not version.isdigit() or not 0 < int(version) <= len(self._versions):
            raise ReleaseNotFoundError(f"{self.name} has no version {version}")
        return self._versions[int(version) - 1][1]

    def invoke(self, version: str, event: Mapping[str, Any]) -> object:
        """Return a version's answer to an event."""
        return self.answer(version, str(self.model_of(version)), event)

    def _put(self, split: TrafficSplit, release_id: str) -> None:
        revision = str(int(self._alias.revision) + 1 if self._alias else 1)
        self._alias = Alias(split, release_id, revision)

    def _fail(self, counter: str) -> None:
        left = getattr(self, counter)
        if left > 0:
            setattr(self, counter, left - 1)
            raise UnavailableError(f"{counter}: failed on request of the test")


@dataclass(slots=True)
class MemoryAlarms:
    """The versions with alarms, and those whose missing data is breaching."""

    armed: set[str] = field(default_factory=set)
    expecting: set[str] = field(default_factory=set)

    def create(self, version: str) -> None:
        """Create the alarms of a version that is about to get its first requests."""
        self.armed.add(version)

    def enable_missing_data(self, version: str) -> None:
        """Treat missing data as breaching, once a version has had requests for a while."""
        self.expecting.add(version)

    def delete(self, version: str) -> None:
        """Delete a version's alarms."""
        self.armed.discard(version)
        self.expecting.discard(version)


@dataclass(slots=True)
class MemoryAsyncInvoker:
    """Events queued for a function. The next `fail` events are refused."""

    events: list[Mapping[str, Any]] = field(default_factory=list)
    fail: int = 0

    def invoke(self, event: Mapping[str, Any]) -> None:
        """Queue an event."""
        if self.fail > 0:
            self.fail -= 1
            raise UnavailableError("the function: failed on request of the test")
        self.events.append(event)


@dataclass(slots=True)
class MemoryTopic:
    """Sent messages: subject, text and attributes. The next `fail` messages are refused."""

    sent: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    fail: int = 0

    def publish(self, subject: str, text: str, attributes: Mapping[str, str]) -> str:
        """Publish a message and return its id."""
        if self.fail > 0:
            self.fail -= 1
            raise UnavailableError("the topic: failed on request of the test")
        self.sent.append((subject, text, attributes))
        return str(len(self.sent))
