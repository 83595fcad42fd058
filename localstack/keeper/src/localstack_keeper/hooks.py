"""What LocalStack calls: at its start, when it is about to be ready, and at its end.

LocalStack imports this module whenever it starts, so nothing heavy is imported unless KEEPER_FOLDER
is set.
"""

import logging
import os
from typing import TYPE_CHECKING

from localstack.runtime import hooks
from localstack.runtime.exceptions import LocalstackExit

from localstack_keeper.errors import KeeperError
from localstack_keeper.settings import Settings

if TYPE_CHECKING:
    from localstack_keeper.keeper import Keeper

LOG = logging.getLogger(__name__)

EXIT_CODE = 78  # EX_CONFIG of sysexits.h

_keepers: "list[Keeper]" = []


@hooks.on_infra_start(priority=90)  # ahead of whatever loads a service
def open_folder() -> None:
    """Take the folder, or have LocalStack exit with the reason."""
    try:
        settings = Settings.from_env(os.environ)
        if settings is not None:
            from localstack_keeper.keeper import Keeper  # noqa: PLC0415 - see above

            _keepers.append(Keeper.open(settings))
    except (KeeperError, OSError) as exc:
        raise _exit(exc) from exc


@hooks.on_infra_start(priority=-90)  # after all that prepares services
def restore() -> None:
    """Give services their state, before the first request can come in."""
    try:
        for keeper in _keepers:
            keeper.restore()
    except (KeeperError, OSError) as exc:
        raise _exit(exc) from exc


@hooks.on_infra_ready(
    priority=90
)  # ahead of init scripts, and of the word that LocalStack is ready
def revive() -> None:
    """Have restored services go on where they were, then let requests in."""
    for keeper in _keepers:
        keeper.revive()


@hooks.on_infra_shutdown(priority=50)  # after the last metrics, before services are stopped
def save() -> None:
    """Save all state."""
    for keeper in _keepers:
        keeper.close()


def _exit(exc: Exception) -> LocalstackExit:
    LOG.error("keeper: %s", exc)
    return LocalstackExit(f"keeper: {exc}", EXIT_CODE)
