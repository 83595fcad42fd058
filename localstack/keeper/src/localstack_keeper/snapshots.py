"""Periodic snapshots of all services' state, and their restore."""

import errno
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from localstack_keeper import pickling, state_visitor
from localstack_keeper.dirty_services import DirtyServices
from localstack_keeper.errors import DamagedError
from localstack_keeper.generations import Container, Draft, Generations, Manifest

LOG = logging.getLogger(__name__)

# Saving takes the interpreter from requests: a tenth of the time at most.
LARGEST_SHARE: Final = 0.1
# A change that no request made is found at the latest then.
FULL_S: Final = 60.0
# A store that changes while it is pickled is pickled again.
TRIES: Final = 10
# Not one service's fault.
_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})

Service = Any
"""LocalStack's Service."""

States = dict[str, dict[int, tuple[str, Any]]]
"""Kind and state of each service's containers, by their place; of a folder, its name."""

Services = Any
"""LocalStack's service manager."""

# Functions come after what their code and queues are in, and before those who call them.
_LATE: Final = ("lambda", "apigateway", "stepfunctions", "sns", "events", "scheduler", "cloudwatch")


def restore_order(services: Iterable[str]) -> list[str]:
    """Return services in the order in which they come back."""
    rank = {name: place for place, name in enumerate(_LATE)}
    return sorted(services, key=lambda name: (rank.get(name, -1), name))


class Snapshots:
    """The state of all services, in generations."""

    def __init__(
        self,
        generations: Generations,
        services: Services,
        *,
        in_flight: Callable[[], Iterable[str]],
        clock: Callable[[], float],
    ) -> None:
        self.dirty = DirtyServices()
        self._generations = generations
        self._services = services
        self._in_flight = in_flight
        self._clock = clock
        self._last = generations.nothing()
        self._full_at = clock()
        self._being_saved: set[str] = set()
        self._were_in_flight: set[str] = set()
        self._logged: set[str] = set()
        self._unrestored: set[str] = set()
        """Services that could not be restored: their saved state must not be overwritten."""
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
            self.dirty.mark_all(names)
            self._generations.abandon()
            raise
        finally:
            self._being_saved = set()

    def status(self) -> dict[str, object]:
        """Return the newest generation, its age, what it may be behind, and what was not restored.

        `unsaved` leaves out services with something in flight, which are never saved for good.
        """
        # In the order in which a service passes from one set to the next.
        unsaved = self._were_in_flight - set(self._in_flight())
        unsaved |= self.dirty.pending() & set(self._services.list_active_services())
        unsaved |= self._being_saved
        return {
            "generation": self._last.number,
            "saved_at_s": self._generations.saved_at_s(self._last.number),
            "unsaved": sorted(unsaved),
            "lost": sorted(self._lost),
        }

    def _due(self, *, everything: bool) -> set[str]:
        active = set(self._services.list_active_services())
        in_flight = set(self._in_flight())
        self.dirty.mark_all(self._were_in_flight - in_flight)
        self._were_in_flight = in_flight
        if everything or self._clock() - self._full_at >= FULL_S:
            self._full_at = self._clock()
            self.dirty.take()
            return active
        return (self.dirty.take() | in_flight) & active

    def _save(self, names: set[str]) -> bool:
        draft = self._generations.draft()
        changed = False
        active = self._services.list_active_services()
        for name in restore_order({*active, *self._last.services}):
            changed |= self._save_service(draft, name, due=name in names)
        if not changed:
            self._generations.abandon()
            return False
        saved = tuple(dict.fromkeys(container.service for container in draft.containers))
        self._last = self._generations.publish(draft, saved)
        return True

    def _save_service(self, draft: Draft, name: str, *, due: bool) -> bool:
        """Add a service to a draft; return whether it differs from the last generation."""
        before = tuple(kept for kept in self._last.containers if kept.service == name)
        if not due or name in self._unrestored:
            draft.link(self._generations.path(self._last.number), before)
            return False
        service = self._services.get_service(name)
        taken = len(draft.containers)
        try:
            service.lifecycle_hook.on_before_state_save()
            for visited in self._containers(name, service):
                _add(draft, name, visited)
            service.lifecycle_hook.on_after_state_save()
        except Exception as exc:
            # A service's edge: any class of any service may be what cannot be pickled.
            if isinstance(exc, OSError) and exc.errno in _DISK:
                raise
            if self._is_first(f"unsaved {name}"):
                LOG.exception("keeper: %s is not saved", name)
            draft.discard(name)
            draft.link(self._generations.path(self._last.number), before)
            return False
        return tuple(draft.containers[taken:]) != before

    def _containers(self, name: str, service: Service) -> list[state_visitor.Visited]:
        collector = state_visitor.Collector()
        service.accept_state_visitor(collector)
        for what in collector.unknown:
            if self._is_first(f"unknown {name} {what}"):
                LOG.warning(
                    "keeper: %s keeps state in a container of no known kind: %s", name, what
                )
        return collector.visited

    def _is_first(self, what: str) -> bool:
        is_first = what not in self._logged
        self._logged.add(what)
        return is_first

    def restore(self) -> Manifest | None:
        """Give all services the newest state that loads; return what was restored.

        If every generation has a service that does not load, the newest comes back without it: an
        unchanged container is one file of two generations, and damaged in both.
        """
        partial: tuple[Manifest, States, Path] | None = None
        for number, manifest in self._generations.newest():
            states, failed = self._load(manifest)
            if not failed:
                self._last = manifest
                return self._restore_all(manifest, states, self._generations.path(number))
            aside = self._generations.reject(number, "; ".join(failed))
            partial = partial or (manifest, states, aside)
        if partial is None:
            return None
        LOG.error("keeper: no generation loads whole: what loads of %d is used", partial[0].number)
        restored = self._restore_all(*partial)
        self.dirty.mark_all(restored.services)
        return restored

    def _load(self, manifest: Manifest) -> tuple[States, list[str]]:
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

    def _restore_all(self, manifest: Manifest, states: States, path: Path) -> Manifest:
        names = restore_order(states)
        restored = tuple(name for name in names if self._restore(name, states[name], path))
        self._lost = set(manifest.services) - set(restored)
        return replace(manifest, services=restored)

    def _restore(self, name: str, states: dict[int, tuple[str, Any]], path: Path) -> bool:
        try:
            service = self._services.require(name)
            service.lifecycle_hook.on_before_state_load()
            for visited in self._containers(name, service):
                kind, state = states.get(visited.index, (None, None))
                if kind == visited.kind:
                    visited.restore(state, path)
        except Exception:
            # A service's edge: the others come back all the same, and its state stays on the disk.
            LOG.exception(
                "keeper: %s is not restored: its state is kept as it was, and not saved until a "
                "start brings it back",
                name,
            )
            self._unrestored.add(name)
            return False
        return True


def _add(draft: Draft, name: str, visited: state_visitor.Visited) -> None:
    if visited.kind == state_visitor.ASSETS:
        draft.add_folder(name, visited.index, visited.kind, Path(visited.container.path))
    else:
        draft.add_bytes(name, visited.index, visited.kind, _pickled(visited))


def _pickled(visited: state_visitor.Visited) -> bytes:
    for _ in range(TRIES - 1):
        try:
            return pickling.dumps(visited.state())
        except RuntimeError:  # it changed meanwhile
            time.sleep(0)
    return pickling.dumps(visited.state())


def _state(path: Path, container: Container) -> Any:  # noqa: ANN401 - of any service
    if container.kind == state_visitor.ASSETS:
        return container.name
    try:
        return pickling.loads((path / container.name).read_bytes())
    except Exception as exc:
        # Unpickling runs what the file says: whatever comes of it, the file does not load.
        raise DamagedError(f"{container.name}: {type(exc).__name__}: {exc}") from exc


def save_periodically(
    save: Callable[[], object], interval_s: float, stopped: threading.Event
) -> None:
    """Save now and again until it is to stop; a save that goes on is finished."""
    wait_s = interval_s
    while not stopped.wait(wait_s):
        began = time.monotonic()
        try:
            save()
        except Exception:
            # The thread's edge: a full disk today is no reason to save nothing tomorrow.
            LOG.exception("keeper: state is not saved, trying again")
        took_s = time.monotonic() - began
        wait_s = max(interval_s, took_s / LARGEST_SHARE - took_s)
