"""Log of releases: every step with its reason, stored before it is applied.

A release is a folder `releases/<release_id>/` in the artifacts bucket:

    0001-start.json, 0002-gate.json, ...    one Step each, in the order in which they were decided
    trials/<time>.npz                       the trials that a verdict was computed from
    notices/<event>-<channel>.json          whether a notification was delivered

Steps are conditional puts: of two writers of the same step one is refused; between two that write
different ones, the alias's revision decides.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self, cast, get_args

from movierec.errors import (
    ObjectExistsError,
    ReleaseConflictError,
    ReleaseNotFoundError,
)
from movierec.model import encoding
from movierec.ports import Clock, ObjectStore
from movierec.releases.traffic_split import TrafficSplit

PREFIX: Final = "releases/"

StepName = Literal[
    "start",  # the release was requested
    "gate",  # the model passed the quality gate
    "cut",  # a version is published
    "smoke",  # it passed the smoke test
    "route",  # the first requests, by hand
    "weigh",  # another share of requests
    "hold",  # an evaluation tick that changed nothing
    "pause",
    "resume",
    "promote",
    "rollback",
    "abort",  # ends a release that never got requests
]

CLOSING: Final[frozenset[StepName]] = frozenset({"promote", "rollback", "abort"})
"""The steps that end a release."""

_STEP_KEY: Final = re.compile(rf"{PREFIX}(?P<release>[^/]+)/(?P<number>\d+)-(?P<name>[a-z]+)\.json")


@dataclass(frozen=True, slots=True)
class Step:
    """One transition of a release, as logged before it is applied."""

    release_id: str
    function: str
    model_version: str | None
    before: TrafficSplit | None
    name: StepName = "cut"
    version: str | None = None
    after: TrafficSplit | None = None
    reason: str = ""
    at: str = ""
    """UTC, ISO 8601."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Inputs of the decision, as JSON: the policy, an evaluation, an alarm."""

    @property
    def time(self) -> datetime:
        """Return `at`, aware."""
        return datetime.fromisoformat(self.at)

    @classmethod
    def read(cls, body: bytes, key: str) -> Self:
        """Return the step that `dump` wrote. Raises ArtifactError."""
        given = encoding.load_json(key, body)
        routings = {
            name: TrafficSplit(**given[name]) if given.get(name) else None
            for name in ("before", "after")
        }
        return cls(**{**given, **routings})

    def dump(self) -> bytes:
        """Return the step as JSON."""
        return encoding.dump_json(asdict(self))


def release_id(now: datetime) -> str:
    """Return a release's name, which sorts by time: `20261120T101500123Z`. `now` is aware."""
    utc = now.astimezone(UTC)
    return f"{utc:%Y%m%dT%H%M%S}{utc.microsecond // 1000:03d}Z"


def stamp(now: datetime) -> str:
    """Return a time in a step's format: ISO 8601, to the millisecond. `now` is aware."""
    return now.astimezone(UTC).isoformat(timespec="milliseconds")


def folder(release: str) -> str:
    """Return the prefix of a release's objects."""
    return f"{PREFIX}{release}/"


def step_key(release: str, number: int, name: StepName) -> str:
    """Return the object key of a release's `number`th step, counted from 1."""
    return f"{folder(release)}{number:04d}-{name}.json"


def page_key(release: str) -> str:
    """Return the object key of a release's report."""
    return f"{folder(release)}page.html"


def describe_version(release: str, model_version: str, description: str) -> str:
    """Return the Description of a published version, which names its release.

    Lambda allows 256 characters.
    """
    return f"{release} {model_version} {description}".strip()[:256]


@dataclass(frozen=True, slots=True)
class _Key:
    """A step's key, parsed."""

    key: str
    release: str
    number: int
    name: StepName


@dataclass(frozen=True, slots=True)
class ReleaseLog:
    """The releases' folders; `store` is the artifacts bucket."""

    store: ObjectStore
    clock: Clock

    def now(self) -> datetime:
        """Return the present at the log's resolution: in UTC, to the millisecond."""
        now = self.clock.now().astimezone(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def write(self, step: Step, *, insist: bool = False) -> Step:
        """Append a step, and return it with its time: the present, unless it has one.

        Raises ReleaseConflictError if another writer puts the same step first; with `insist`, it
        retries with the next number.
        """
        stamped = replace(step, at=step.at or stamp(self.now()))
        while True:
            numbers = [found.number for found in self._keys(folder(step.release_id))]
            number = max(numbers, default=0) + 1
            try:
                self.store.put_if_absent(
                    step_key(step.release_id, number, step.name), stamped.dump()
                )
            except ObjectExistsError as exc:
                if not insist:
                    raise ReleaseConflictError(
                        f"release {step.release_id}: somebody else is taking step {number} right "
                        f"now; {ReleaseConflictError.next_step}"
                    ) from exc
            else:
                return stamped

    def steps(self, release: str, *, holds: bool = True) -> tuple[Step, ...]:
        """Return a release's steps in order. Raises ReleaseNotFoundError if it has none.

        Without `holds`, ticks that changed nothing are not read: there may be a thousand.
        """
        found = self._in_order(release)
        return tuple(self._read(key) for key in found if holds or key.name != "hold")

    def sampled(self, release: str, most_holds: int) -> tuple[Step, ...]:
        """Return a release's steps in order, of holds the newest and evenly at most so many more.

        As a release goes on, every second one of them is left out: none comes back. Raises
        ReleaseNotFoundError.
        """
        found = self._in_order(release)
        holds = [key for key in found if key.name == "hold"]
        apart = 1
        while len(holds) > apart * most_holds:
            apart *= 2
        kept = {*holds[::apart], *holds[-1:]}
        return tuple(self._read(key) for key in found if key.name != "hold" or key in kept)

    def last(self, release: str) -> Step:
        """Return a release's newest step. Raises ReleaseNotFoundError if it has none."""
        return self._read(self._in_order(release)[-1])

    def closing(self, release: str) -> Step | None:
        """Return the newest step that ended a release, None while it is open."""
        ended = [key for key in self._in_order(release) if key.name in CLOSING]
        return self._read(ended[-1]) if ended else None

    def releases(self) -> tuple[str, ...]:
        """Return the names of all releases, oldest first."""
        return tuple(sorted({found.release for found in self._keys(PREFIX)}))

    def open_releases(self) -> tuple[str, ...]:
        """Return the releases without a closing step, oldest first."""
        names: dict[str, set[StepName]] = {}
        for found in self._keys(PREFIX):
            names.setdefault(found.release, set()).add(found.name)
        return tuple(sorted(release for release, seen in names.items() if not seen & CLOSING))

    def _in_order(self, release: str) -> list[_Key]:
        keys = sorted(self._keys(folder(release)), key=lambda found: found.number)
        if not keys:
            raise ReleaseNotFoundError(
                f"there is no release {release!r}: see `movierec release list`"
            )
        return keys

    def _read(self, found: _Key) -> Step:
        return Step.read(self.store.get(found.key), found.key)

    def _keys(self, prefix: str) -> Iterator[_Key]:
        for key in self.store.keys(prefix):
            match = _STEP_KEY.fullmatch(key)
            if match and match["name"] in get_args(StepName):
                name = cast("StepName", match["name"])
                yield _Key(key, match["release"], int(match["number"]), name)
