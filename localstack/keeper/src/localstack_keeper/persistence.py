"""The composition of all parts, in the emulator's process."""

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

from localstack_keeper import log_retention, request_handlers, s3_change_capture, s3_provider
from localstack_keeper.dirty_services import in_flight
from localstack_keeper.disk import Disk
from localstack_keeper.generations import Generations, Manifest
from localstack_keeper.rehydration import rehydrate
from localstack_keeper.s3_persistence import S3Persistence
from localstack_keeper.settings import Settings
from localstack_keeper.snapshots import Snapshots, save_periodically
from localstack_keeper.state_folder import StateFolder, Writer

LOG = logging.getLogger(__name__)

# Python's own is ten times that.
SWITCH_S: Final = 0.0005


class Persistence:
    """Keeps one emulator's state in one folder."""

    def __init__(
        self, settings: Settings, folder: StateFolder, snapshots: Snapshots, disk: Disk
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._snapshots = snapshots
        self._barrier = request_handlers.StartupBarrier()
        self._disk = disk
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=save_periodically,
            args=(self.save, settings.interval_s, self._stopped),
            name="keeper",
            daemon=True,
        )
        self._restored: Manifest | None = None
        self._s3: S3Persistence | None = None
        self._is_up = False
        self._saving = threading.Lock()

    @classmethod
    def open(cls, settings: Settings) -> "Persistence":
        """Take the folder and hook into LocalStack. Raises RefusedError."""
        writer = Writer(VERSION, version("localstack-keeper"))
        disk = Disk() if settings.sync else Disk(sync=lambda _fd: None)
        folder = StateFolder.take(settings.folder, writer, disk)
        generations = Generations(folder, writer, disk)
        snapshots = Snapshots(
            generations, SERVICE_PLUGINS, in_flight=in_flight, clock=time.monotonic
        )
        made = cls(settings, folder, snapshots, disk)
        config.SERVICE_PROVIDER_CONFIG.set_provider("s3", "keeper")
        request_handlers.buffer_in_memory()
        preprocess_request.handlers.insert(0, made._barrier)
        patch(ServiceLoader.require_service)(request_handlers.wait_until_loaded)
        run_custom_response_handlers.append(partial(request_handlers.mark_dirty, snapshots.dirty))
        get_internal_apis().add(Resource("/_localstack/keeper", made))
        return made

    def on_get(self, _request: object) -> dict[str, object]:
        """Answer `GET /_localstack/keeper`."""
        return self._snapshots.status()

    def on_post(self, _request: object) -> dict[str, object]:
        """Save, and answer the same; OSError, of a full disk, becomes a 500."""
        self.save(everything=True)
        return self._snapshots.status()

    def restore(self) -> None:
        """Give services their state; nothing calls them yet. Raises DamagedError, OSError."""
        began = time.monotonic()
        self._s3 = S3Persistence.recover(self._folder, self._disk, clock=time.monotonic)
        s3_change_capture.install(self._s3)
        s3_provider.use(self._s3)
        self._restored = self._snapshots.restore()
        if self._restored:
            LOG.info(
                "keeper: generation %d read in %.2f s: %s",
                self._restored.number,
                time.monotonic() - began,
                ", ".join(self._restored.services),
            )

    def rehydrate(self) -> None:
        """Have services go on, let requests in, and save from now on."""
        if events.infra_stopping.is_set():
            return  # services are being stopped already
        for name in self._restored.services if self._restored else ():
            try:
                rehydrate(name, SERVICE_PLUGINS.require(name))
            except Exception:
                # A service's edge: the others go on all the same.
                LOG.exception("keeper: %s has its state but does not go on as before", name)
        self._thread.start()
        self._is_up = True
        self._barrier.set()

    def save(self, *, everything: bool = False) -> None:
        """Save what has changed, or all that there is, while requests go on. Raises OSError."""
        with self._saving, _short_switch_interval():
            try:
                if self._s3:
                    self._s3.maintain()
            finally:
                if self._settings.log_events:
                    log_retention.keep_newest(self._settings.log_events)
                self._snapshots.save(everything=everything)

    def close(self) -> None:
        """Save all state once more. No request is served any more."""
        if not self._is_up:
            return  # what is not all restored must not be saved as if it were
        self._stopped.set()
        self._thread.join()
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
def _short_switch_interval() -> Iterator[None]:
    """Have this thread release the interpreter lock soon: a request waits for it at each step."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before_s)
