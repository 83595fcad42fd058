"""LocalStack's visitor protocol: how a service's state is taken and put back.

A service shows its containers in an order that is the same at each visit; a container is known by
service and place in that order.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any, Final

from localstack.services.stores import AccountRegionBundle
from localstack.state import AssetDirectory, StateVisitor
from moto.core.base_backend import BackendDict

from localstack_keeper.generations import copy_assets

LOG = logging.getLogger(__name__)

STORE: Final = "store"
MOTO: Final = "moto"
ASSETS: Final = "assets"


def kind_of(container: object) -> str | None:
    """Return what kind of container this is; None for one that nothing here knows."""
    for kind, classes in (
        (STORE, AccountRegionBundle),
        (MOTO, BackendDict),
        (ASSETS, AssetDirectory),
    ):
        if isinstance(container, classes):
            return kind
    return None


@dataclass(frozen=True)
class Visited:
    """A container as a service shows it."""

    index: int
    kind: str
    container: Any

    def state(self) -> Any:  # noqa: ANN401 - a store, or moto's backends
        """Return what is to be pickled of it."""
        if self.kind == MOTO:
            return {account: dict(regions) for account, regions in dict(self.container).items()}
        return self.container


class Collector(StateVisitor):
    """Takes note of all containers that a service shows."""

    def __init__(self, on_unknown: Callable[[object], None]) -> None:
        self.visited: list[Visited] = []
        self._on_unknown = on_unknown

    def visit(self, state_container: Any) -> None:  # noqa: ANN401 - as LocalStack has it
        """Take note of one."""
        kind = kind_of(state_container)
        if kind is None:
            self._on_unknown(state_container)
        else:
            self.visited.append(Visited(len(self.visited), kind, state_container))


def containers(service: Any, on_unknown: Callable[[object], None]) -> Iterator[Visited]:  # noqa: ANN401
    """Yield the containers that a LocalStack service shows."""
    collector = Collector(on_unknown)
    service.accept_state_visitor(collector)
    yield from collector.visited


def put_back(visited: Visited, state: Any) -> None:  # noqa: ANN401 - what `Visited.state` gave
    """Give a container its former state, in place: modules hold on to the container itself.

    `state` is a folder for assets.
    """
    put: dict[str, Callable[[Any, Any], None]] = {
        STORE: _put_store,
        MOTO: _put_moto,
        ASSETS: _put_assets,
    }
    put[visited.kind](visited.container, state)


def _put_store(bundle: Any, state: Any) -> None:  # noqa: ANN401 - an AccountRegionBundle
    with bundle.lock:
        bundle.clear()
        bundle.update(state)
        # Each store keeps a reference to what all accounts share, and new ones must get the same.
        bundle._universal = state._universal  # noqa: SLF001
        for regions in state.values():
            regions.lock = bundle.lock


def _put_moto(backends: Any, state: dict[str, dict[str, object]]) -> None:  # noqa: ANN401
    backends.clear()
    for account, regions in state.items():
        backends[account].update(regions)


def _put_assets(directory: AssetDirectory, state: Path) -> None:
    target = Path(directory.path)
    rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    copy_assets(state, target)


def describe(container: object) -> str:
    """Return how a log names a container."""
    return f"{type(container).__module__}.{type(container).__qualname__}"
