"""Saving all services' state, again and again, and giving it back."""

import errno
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from localstack_keeper import pickling, visitors
from localstack_keeper.changes import Changes
from localstack_keeper.errors import DamagedError
from localstack_keeper.generations import Container, Draft, Generations, Manifest, copy_assets

LOG = logging.getLogger(__name__)

# Saving takes the interpreter from requests: a tenth of the time at most.
LARGEST_SHARE: Final = 0.1
# What no request told of is found at the latest then.
FULL_S: Final = 60.0
# A store that changes while it is pickled is pickled again.
TRIES: Final = 10
# Not one service's fault.
_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})

Service = Any
"""LocalStack's Service."""

States = dict[str, dict[int, tuple[str, Any]]]
"""Kind and state of each service's containers, by their place."""


class Services(Protocol):
    """What is needed of LocalStack's service manager."""

    def list_active_services(self) -> list[str]:
        """Return the names of the services that run."""
        ...

    def get_service(self, name: str) -> Service:
        """Return a service."""
        ...

    def require(self, name: str) -> Service:
        """Return a service, started if need be."""
        ...


# Functions come after what their code and queues are in, and before those who call them.
_LATE: Final = ("lambda", "apigateway", "stepfunctions", "sns", "events", "scheduler", "cloudwatch")


def restore_order(services: Iterable[str]) -> list[str]:
    """Return services in the order in which they come back."""
    rank = {name: place for place, name in enumerate(_LATE)}
    return sorted(services, key=lambda name: (rank.get(name, -1), name))


@dataclass(frozen=True)
class Restored:
    """What came back."""

    generation: int
    services: tuple[str, ...]


class Snapshots:
    """The state of all services, in generations."""

    def __init__(
        self,
        generations: Generations,
        services: Services,
        *,
        busy: Callable[[], Iterable[str]],
        clock: Callable[[], float],
    ) -> None:
        self.changes = Changes()
        self._generations = generations
        self._services = services
        self._busy = busy
        self._clock = clock
        self._last: Manifest | None = None
        self._full_at = clock()
        self._being_saved: set[str] = set()
        self._were_busy: set[str] = set()
        self._said: set[str] = set()
        self._left: set[str] = set()
        """Services that have not come back: what is kept of them must not be written over."""
        self._lost: set[str] = set()

    def save(self, *, everything: bool = False) -> bool:
        """Save what has changed, as a new generation; return whether anything had.

        One call at a time. Raises OSError if the disk does not take it; the generation before
        stays the newest.
        """
        names = self._being_saved = self._due(everything=everything)
        try:
            return bool(names) and self._save(names)
        except OSError:
            self.changes.mark_all(names)
            self._generations.abandon()
            raise
        finally:
            self._being_saved = set()

    def status(self) -> dict[str, object]:
        """Return the newest generation, its age, whom it may be behind, and who did not come back.

        `unsaved` is without services that have something under way, which is never saved for good.
        """
        # In the order in which a service passes from one set to the next.
        unsaved = self._were_busy - set(self._busy())
        unsaved |= self.changes.pending() & set(self._services.list_active_services())
        unsaved |= self._being_saved
        newest = self._last
        return {
            "generation": newest.number if newest else 0,
            "saved_at_s": self._generations.saved_at_s(newest.number) if newest else None,
            "unsaved": sorted(unsaved),
            "lost": sorted(self._lost),
        }

    def _due(self, *, everything: bool) -> set[str]:
        active = set(self._services.list_active_services())
        busy = set(self._busy())
        self.changes.mark_all(self._were_busy - busy)
        self._were_busy = busy
        if everything or self._clock() - self._full_at >= FULL_S:
            self._full_at = self._clock()
            self.changes.take()
            return active
        return (self.changes.take() | busy) & active

    def _save(self, names: set[str]) -> bool:
        draft = self._generations.draft()
        changed = False
        for name in restore_order(set(self._services.list_active_services()) | self._known()):
            changed |= self._save_service(draft, name, due=name in names)
        if not changed:
            self._generations.abandon()
            return False
        saved = tuple(dict.fromkeys(container.service for container in draft.containers))
        self._last = self._generations.publish(draft, saved)
        return True

    def _known(self) -> set[str]:
        return set(self._last.services) if self._last else set()

    def _save_service(self, draft: Draft, name: str, *, due: bool) -> bool:
        """Add a service to a draft; return whether it differs from the last generation."""
        before = self._before(name)
        if not due or name in self._left:
            self._take_over(draft, before)
            return False
        service = self._services.get_service(name)
        taken = len(draft.containers)
        try:
            self._hook(service, "on_before_state_save")
            for visited in visitors.containers(service, lambda c: self._unknown(name, c)):
                self._add(draft, name, visited)
            self._hook(service, "on_after_state_save")
        except Exception as exc:
            # A service's edge: any class of any service may be what cannot be pickled.
            if isinstance(exc, OSError) and exc.errno in _DISK:
                raise
            if self._is_news(f"unsaved {name}"):
                LOG.exception("keeper: %s is not saved", name)
            del draft.containers[taken:]
            _discard(draft, name)
            self._take_over(draft, before)
            return False
        return tuple(draft.containers[taken:]) != before

    def _before(self, name: str) -> tuple[Container, ...]:
        containers = self._last.containers if self._last else ()
        return tuple(container for container in containers if container.service == name)

    def _take_over(self, draft: Draft, containers: tuple[Container, ...]) -> None:
        if self._last:
            draft.take_over(self._generations.path(self._last.number), containers)

    def _add(self, draft: Draft, name: str, visited: visitors.Visited) -> None:
        if visited.kind == visitors.ASSETS:
            target = draft.add_folder(name, visited.index, visited.kind)
            copy_assets(Path(visited.container.path), target)
            draft.close_folder(name, visited.index, visited.kind)
        else:
            draft.add_bytes(name, visited.index, visited.kind, _pickled(visited))

    def _hook(self, service: Service, name: str) -> None:
        getattr(service.lifecycle_hook, name)()

    def _unknown(self, name: str, container: object) -> None:
        what = visitors.describe(container)
        if self._is_news(f"unknown {name} {what}"):
            LOG.warning("keeper: %s keeps state in a container of no known kind: %s", name, what)

    def _is_news(self, what: str) -> bool:
        is_news = what not in self._said
        self._said.add(what)
        return is_news

    def restore(self) -> Restored | None:
        """Give all services the newest state that loads; None if there is none.

        If every generation has a service that does not load, the newest comes back without it: what
        has not changed is one file of two generations, and damaged in both.
        """
        partial: tuple[Manifest, States] | None = None
        for number, manifest in self._generations.newest():
            states, failed = self._load(manifest)
            if not failed:
                self._last = manifest
                return self._put_all_back(manifest, states)
            aside = self._generations.reject(number, "; ".join(failed))
            partial = partial or (manifest, _moved(states, aside))
        if partial is None:
            return None
        manifest, states = partial
        LOG.error("keeper: no generation loads whole: what loads of %d is used", manifest.number)
        restored = self._put_all_back(manifest, states)
        self.changes.mark_all(restored.services)
        return restored

    def _load(self, manifest: Manifest) -> "tuple[States, list[str]]":
        """Return all containers before any is put back, and what does not load."""
        path = self._generations.path(manifest.number)
        states: States = {name: {} for name in manifest.services}
        failed = []
        for container in manifest.containers:
            try:
                self._generations.check(manifest.number, container)
                state = container.kind, _state(path, container)
                states.get(container.service, {})[container.index] = state
            except DamagedError as exc:
                failed.append(str(exc))
                states.pop(container.service, None)
        return states, failed

    def _put_all_back(self, manifest: Manifest, states: "States") -> Restored:
        names = restore_order(states)
        back = tuple(name for name in names if self._put_back(name, states[name]))
        self._lost = set(manifest.services) - set(back)
        return Restored(manifest.number, back)

    def _put_back(self, name: str, states: dict[int, tuple[str, Any]]) -> bool:
        try:
            service = self._services.require(name)
            self._hook(service, "on_before_state_load")
            for visited in visitors.containers(service, lambda c: self._unknown(name, c)):
                kind, state = states.get(visited.index, (None, None))
                if kind == visited.kind:
                    visitors.put_back(visited, state)
        except Exception:
            # A service's edge: the others come back all the same, and its state stays on the disk.
            LOG.exception(
                "keeper: %s is not restored: its state is kept as it was, and not saved until a "
                "start brings it back",
                name,
            )
            self._left.add(name)
            return False
        return True


def _discard(draft: Draft, name: str) -> None:
    for path in draft.path.glob(f"{name}.*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _moved(states: States, to: Path) -> States:
    """Return states whose folders are in another generation's folder."""
    return {
        name: {
            index: (kind, to / state.name if kind == visitors.ASSETS else state)
            for index, (kind, state) in containers.items()
        }
        for name, containers in states.items()
    }


def _pickled(visited: visitors.Visited) -> bytes:
    for _ in range(TRIES - 1):
        try:
            return pickling.dumps(visited.state())
        except RuntimeError:  # it changed meanwhile
            time.sleep(0)
    return pickling.dumps(visited.state())


def _state(path: Path, container: Container) -> Any:  # noqa: ANN401 - of any service
    if container.kind == visitors.ASSETS:
        return path / container.name
    try:
        return pickling.loads((path / container.name).read_bytes())
    except Exception as exc:
        # Unpickling runs what the file says: whatever comes of it, the file does not load.
        raise DamagedError(f"{container.name}: {type(exc).__name__}: {exc}") from exc


class Loop:
    """Saves every so often, in a thread of its own."""

    def __init__(self, save: Callable[[], object], *, interval_s: float) -> None:
        self._save = save
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after a save that is going on."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        wait_s = self._interval_s
        while not self._stop.wait(wait_s):
            began = time.monotonic()
            try:
                self._save()
            except Exception:
                # The thread's edge: a full disk today is no reason to save nothing tomorrow.
                LOG.exception("keeper: state is not saved, trying again")
            took_s = time.monotonic() - began
            wait_s = max(self._interval_s, took_s / LARGEST_SHARE - took_s)
