"""LocalStack's visitor protocol: a service's state containers, and restoring them in place.

A service shows its containers in the same order at each visit, which identifies them.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from localstack.services.stores import AccountRegionBundle
from localstack.state import AssetDirectory, StateVisitor
from moto.core.base_backend import BackendDict

from localstack_keeper.generations import copy_assets

STORE: Final = "store"
MOTO: Final = "moto"
ASSETS: Final = "assets"

_KINDS: Final = {AccountRegionBundle: STORE, BackendDict: MOTO, AssetDirectory: ASSETS}


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

    def restore(self, state: Any, path: Path) -> None:  # noqa: ANN401 - what `state` gave
        """Give it its former state, in place; for assets, the name of a folder in `path`."""
        if self.kind == STORE:
            _restore_store(self.container, state)
        elif self.kind == MOTO:
            _restore_moto(self.container, state)
        else:
            _restore_assets(self.container, path / state)


class Collector(StateVisitor):
    """Takes note of all containers that a service shows."""

    def __init__(self) -> None:
        self.visited: list[Visited] = []
        self.unknown: list[str] = []

    def visit(self, state_container: Any) -> None:  # noqa: ANN401 - as LocalStack has it
        """Take note of one."""
        for class_, kind in _KINDS.items():
            if isinstance(state_container, class_):
                self.visited.append(Visited(len(self.visited), kind, state_container))
                return
        class_ = type(state_container)
        self.unknown.append(f"{class_.__module__}.{class_.__qualname__}")


def _restore_store(bundle: Any, state: Any) -> None:  # noqa: ANN401 - an AccountRegionBundle
    with bundle.lock:
        bundle.clear()
        bundle.update(state)
        # Each store keeps a reference to what all accounts share, and new ones must get the same.
        bundle._universal = state._universal  # noqa: SLF001
        for regions in state.values():
            regions.lock = bundle.lock


def _restore_moto(backends: Any, state: dict[str, dict[str, object]]) -> None:  # noqa: ANN401
    backends.clear()
    for account, regions in state.items():
        backends[account].update(regions)


def _restore_assets(directory: AssetDirectory, state: Path) -> None:
    target = Path(directory.path)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    copy_assets(state, target)
