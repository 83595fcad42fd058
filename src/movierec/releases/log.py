"""What is written down about releases: every step, before it is carried out, and why.

A release is a folder `releases/<release_id>/` in the artifacts bucket:

    0001-start.json, 0002-gate.json, ...    one Step each, in the order in which they were decided
    trials/<time>.npz                       the trials that a verdict was reached on
    notices/<event>.json                    who was told, and whether it arrived

Steps are put if absent: of two hands that take the same step at once, one is refused; of two that
take different ones, the alias's revision tells whose counts.
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
    "start",  # somebody asks for a release
    "gate",  # the model may be released
    "cut",  # a version is published
    "smoke",  # it answers as it should
    "route",  # the first users, by hand
    "weigh",  # another share of requests
    "hold",  # looked at, nothing changed
    "pause",
    "resume",
    "promote",
    "rollback",
    "abort",  # ends a release that nobody was sent to
]

CLOSING: Final[frozenset[StepName]] = frozenset({"promote", "rollback", "abort"})
"""The steps that end a release."""

_STEP_KEY: Final = re.compile(rf"{PREFIX}(?P<release>[^/]+)/(?P<number>\d+)-(?P<name>[a-z]+)\.json")


@dataclass(frozen=True, slots=True)
class Step:
    """One transition of a release, as written down before it is carried out."""

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
    """What the step was decided on, as JSON: the policy, an evaluation, an alarm."""

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
    """Return a time as steps have it: ISO 8601, to the millisecond. `now` is aware."""
    return now.astimezone(UTC).isoformat(timespec="milliseconds")


def folder(release: str) -> str:
    """Return the prefix of a release's objects."""
    return f"{PREFIX}{release}/"


def step_key(release: str, number: int, name: StepName) -> str:
    """Return the object key of a release's `number`th step, counted from 1."""
    return f"{folder(release)}{number:04d}-{name}.json"


def page_key(release: str) -> str:
    """Return the object key of the page that shows a release to people."""
    return f"{folder(release)}page.html"


def describe_version(release: str, model_version: str, description: str) -> str:
    """Return the Description of a published version, which ties it to its release.

    Lambda keeps 256 characters.
    """
    return f"{release} {model_version} {description}".strip()[:256]


@dataclass(frozen=True, slots=True)
class _Key:
    """What a step's key tells without reading the step."""

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
        """Return the present as it is written down: in UTC, to the millisecond."""
        now = self.clock.now().astimezone(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def write(self, step: Step, *, insist: bool = False) -> Step:
        """Write a step down, and return it with its time: the present, unless it has one.

        Raises ReleaseConflictError if somebody else takes a step at the same moment; with
        `insist`, the next number is taken instead.
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

        Without `holds`, the looks that changed nothing are left unread: there may be a thousand.
        """
        found = self._in_order(release)
        return tuple(self._read(key) for key in found if holds or key.name != "hold")

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
