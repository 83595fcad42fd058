"""The running system as the console sees it: ports, opened when they are first needed.

A setting that is missing is then the failure of the panels that need it, and of no other.
"""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from console.kept_objects import KeptObjects
from movierec import settings
from movierec.api_contract import HEALTH_PATH
from movierec.aws import list_facts, release_executions
from movierec.aws.cloudwatch_alarms import CloudWatchAlarmStates
from movierec.aws.delta_activity import DeltaActivity
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.lineage_resolver import LineageResolver
from movierec.aws.release_factory import open_releases
from movierec.aws.s3_store import S3Store
from movierec.errors import UnavailableError
from movierec.lake.activity import LakeActivity
from movierec.ports import Clock, ObjectStore
from movierec.provenance.ports import Lineages
from movierec.releases.alarm_states import AlarmStates
from movierec.releases.log import ReleaseLog
from movierec.releases.registry import Releases
from movierec.runtime.clock import SystemClock
from movierec.taste.served_list import Facts

_TIMEOUT_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class System:
    """The ports that pages read through. Each call may raise MovierecError."""

    clock: Clock
    store: Callable[[], ObjectStore]
    """The artifacts bucket."""
    activity: Callable[[], LakeActivity]
    releases: Callable[[], Releases]
    alarms: Callable[[], AlarmStates]
    ingest: Callable[[], Mapping[str, Any]]
    """What the ingest worker says of itself: see `ingest_worker.meter`."""
    lineages: Callable[[], Lineages]
    list_facts: Callable[[int], Facts]
    """What the explanation of a user's list needs of the lake."""
    restart_execution: Callable[[str], str | None]
    """Starts a release's state machine again unless it runs."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Return the system that the environment names; nothing is opened yet."""
        clock = SystemClock()
        store = _once(lambda: KeptObjects(S3Store.from_env(env, settings.ARTIFACTS_BUCKET)))
        # A lake's handles are for one thread.
        lake = _for_each_thread(lambda: DeltaLake.from_env(env))
        return cls(
            clock=clock,
            store=store,
            activity=lambda: DeltaActivity(lake()),
            releases=_once(lambda: replace(open_releases(env), log=ReleaseLog(store(), clock))),
            alarms=_once(lambda: CloudWatchAlarmStates.from_env(env)),
            ingest=lambda: _ingest(env),
            lineages=lambda: LineageResolver(
                lake(), store(), settings.require(env, settings.API_FUNCTION)
            ),
            list_facts=lambda user_id: list_facts.read(lake(), user_id),
            restart_execution=release_executions.restart_execution,
        )


def _once[T](make: Callable[[], T]) -> Callable[[], T]:
    """Return a function that makes a value at its first call; one that fails is made again."""
    lock, made = threading.Lock(), list[T]()

    def get() -> T:
        with lock:
            if not made:
                made.append(make())
            return made[0]

    return get


def _for_each_thread[T](make: Callable[[], T]) -> Callable[[], T]:
    local = threading.local()

    def get() -> T:
        if not hasattr(local, "made"):
            local.made = make()
        found: T = local.made
        return found

    return get


def _ingest(env: Mapping[str, str]) -> Mapping[str, Any]:
    url = f"{settings.require(env, settings.INGEST_URL)}{HEALTH_PATH}"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310  a setting
            found: Mapping[str, Any] = json.load(answer)
    except urllib.error.HTTPError as exc:
        with exc:  # it answers 503 while it fails, and says why
            return _failing(url, exc)
    except (OSError, ValueError) as exc:
        raise UnavailableError(
            f"the ingest worker at {url} does not answer ({exc}): {UnavailableError.next_step}, "
            f"or set {settings.INGEST_URL}"
        ) from exc
    return found


def _failing(url: str, exc: urllib.error.HTTPError) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = json.load(exc)
    except ValueError:
        raise UnavailableError(
            f"{url}: {exc.code}; {settings.INGEST_URL} may name another service"
        ) from exc
    return found
