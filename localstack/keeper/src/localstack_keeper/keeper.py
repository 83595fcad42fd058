"""The parts put together, in the emulator's process."""

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from typing import Final

from localstack import config
from localstack.aws.handlers import preprocess_request, run_custom_response_handlers
from localstack.aws.handlers.service_plugin import ServiceLoader
from localstack.constants import VERSION
from localstack.http import Resource
from localstack.runtime import events
from localstack.services.internal import get_internal_apis
from localstack.services.plugins import SERVICE_PLUGINS
from localstack.utils.patch import patch

from localstack_keeper import log_retention, request_bodies, s3_provider
from localstack_keeper.busy import busy
from localstack_keeper.files import Disk, disk
from localstack_keeper.folder import Folder, Writer
from localstack_keeper.gate import Gate, Observer, Status, with_all_operations
from localstack_keeper.generations import Generations
from localstack_keeper.revival import revive
from localstack_keeper.s3_log import S3Log
from localstack_keeper.settings import Settings
from localstack_keeper.snapshots import Loop, Restored, Snapshots

LOG = logging.getLogger(__name__)

# Python's own is ten times that.
YIELD_S: Final = 0.0005


class Keeper:
    """Keeps one emulator's state in one folder."""

    def __init__(
        self, settings: Settings, folder: Folder, snapshots: Snapshots, local: Disk
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._snapshots = snapshots
        self._gate = Gate()
        self._disk = local
        self._loop = Loop(self.save, interval_s=settings.interval_s)
        self._restored: Restored | None = None
        self._s3: S3Log | None = None
        self._is_up = False
        self._saving = threading.Lock()

    @classmethod
    def open(cls, settings: Settings) -> "Keeper":
        """Take the folder and hook into LocalStack. Raises RefusedError."""
        writer = Writer(VERSION, version("localstack-keeper"))
        local = disk(sync=settings.sync)
        folder = Folder.take(settings.folder, writer, local)
        generations = Generations(folder, writer, local)
        snapshots = Snapshots(generations, SERVICE_PLUGINS, busy=busy, clock=time.monotonic)
        keeper = cls(settings, folder, snapshots, local)
        config.SERVICE_PROVIDER_CONFIG.set_provider("s3", "keeper")
        request_bodies.keep_in_memory()
        preprocess_request.handlers.insert(0, keeper._gate)
        patch(ServiceLoader.require_service)(with_all_operations)
        run_custom_response_handlers.append(Observer(keeper._snapshots.changes))
        status = Status(snapshots.status, partial(keeper.save, everything=True))
        get_internal_apis().add(Resource("/_localstack/keeper", status))
        return keeper

    def restore(self) -> None:
        """Give services their state; nothing calls them yet. Raises DamagedError, OSError."""
        began = time.monotonic()
        self._s3 = S3Log.recover(self._folder, self._disk, clock=time.monotonic)
        self._s3.watch()
        s3_provider.use(self._s3)
        self._restored = self._snapshots.restore()
        if self._restored:
            LOG.info(
                "keeper: generation %d read in %.2f s: %s",
                self._restored.generation,
                time.monotonic() - began,
                ", ".join(self._restored.services),
            )

    def revive(self) -> None:
        """Have services go on, let requests in, and save from now on."""
        if events.infra_stopping.is_set():
            return  # services are being stopped already
        for name in self._restored.services if self._restored else ():
            try:
                revive(name, SERVICE_PLUGINS.require(name))
            except Exception:
                # A service's edge: the others go on all the same.
                LOG.exception("keeper: %s has its state but does not go on as before", name)
        self._is_up = True
        self._gate.open()
        self._loop.start()

    def save(self, *, everything: bool = False) -> None:
        """Save what has changed, or all that there is, while requests go on. Raises OSError."""
        with self._saving, _giving_way():
            try:
                if self._s3:
                    self._s3.tend()
            finally:
                if self._settings.log_events:
                    log_retention.keep_newest(self._settings.log_events)
                self._snapshots.save(everything=everything)

    def close(self) -> None:
        """Save all state once more. No request is served any more."""
        if not self._is_up:
            return  # what is not all restored must not be saved as if it were
        self._loop.stop()
        began = time.monotonic()
        try:
            with self._saving:
                try:
                    if self._s3:
                        self._s3.close()
                finally:
                    self._snapshots.save(everything=True)
        except Exception:
            # The process's edge: services are to be stopped all the same.
            LOG.exception("keeper: the last changes are not saved")
        else:
            LOG.info("keeper: all state saved in %.2f s", time.monotonic() - began)


@contextmanager
def _giving_way() -> Iterator[None]:
    """Have this thread give way soon: a request waits for it at each of its steps."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(YIELD_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before_s)
