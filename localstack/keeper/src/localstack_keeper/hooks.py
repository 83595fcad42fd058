"""What LocalStack calls: at its start, when it is about to be ready, and at its end.

LocalStack imports this module whenever it starts, so nothing heavy is imported unless KEEPER_FOLDER
is set.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from localstack.runtime import hooks
from localstack.runtime.exceptions import LocalstackExit

from localstack_keeper.errors import KeeperError
from localstack_keeper.settings import Settings

if TYPE_CHECKING:
    from localstack_keeper.persistence import Persistence

LOG = logging.getLogger(__name__)

EXIT_CODE = 78  # EX_CONFIG of sysexits.h

_opened: "list[Persistence]" = []


@contextmanager
def _exit_on_error() -> Iterator[None]:
    try:
        yield
    except (KeeperError, OSError) as exc:
        LOG.error("keeper: %s", exc)  # noqa: TRY400 - the message is for users
        raise LocalstackExit(f"keeper: {exc}", EXIT_CODE) from exc


@hooks.on_infra_start(priority=90)  # ahead of whatever loads a service
def open_folder() -> None:
    """Take the folder, or have LocalStack exit with the reason."""
    with _exit_on_error():
        settings = Settings.from_env(os.environ)
        if settings is not None:
            from localstack_keeper.persistence import Persistence  # noqa: PLC0415 - see above

            _opened.append(Persistence.open(settings))


@hooks.on_infra_start(priority=-90)  # after all that prepares services
def restore() -> None:
    """Give services their state, before the first request can come in."""
    with _exit_on_error():
        for persistence in _opened:
            persistence.restore()


@hooks.on_infra_ready(priority=90)  # ahead of init scripts, and of the line `Ready.`
def rehydrate() -> None:
    """Have restored services go on where they were, then let requests in."""
    for persistence in _opened:
        persistence.rehydrate()


@hooks.on_infra_shutdown(priority=50)  # after the last metrics, before services are stopped
def save() -> None:
    """Save all state."""
    for persistence in _opened:
        persistence.close()
