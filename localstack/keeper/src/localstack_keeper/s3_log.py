"""S3's state on the disk: the journal of its metadata, and its bodies.

A request changes LocalStack's models and appends records, both under one lock, so that records come
in the order of the changes; then it commits, and only then is it answered.
"""

import contextlib
import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from localstack.services.s3.models import S3Bucket, VersionedKeyStore

from localstack_keeper import s3_records, s3_watch
from localstack_keeper.bodies import Bodies
from localstack_keeper.errors import DamagedError
from localstack_keeper.files import Disk, Reserve
from localstack_keeper.folder import Folder
from localstack_keeper.journal import Journal, is_segment, recover, write_checkpoint
from localstack_keeper.packs import Packs
from localstack_keeper.redo import Redo, read
from localstack_keeper.s3_records import Record
from localstack_keeper.writes import Files, Write

LOG = logging.getLogger(__name__)

# Reading as much takes about half a second at the next start.
CHECKPOINT_BYTES: Final = 8 * 1024 * 1024

# Some thousand deletions.
RESERVE_BYTES: Final = 256 * 1024

# Of bodies in one commit. A megabyte takes as long to be written once more as a sync does.
LOGGED_BYTES: Final = 1024 * 1024

REDO: Final = "redo"


class S3Log:
    """What S3's provider, storage and models write to."""

    def __init__(
        self,
        journal: Journal,
        bodies: Bodies,
        reserve: Reserve,
        redo: Redo | None,
        disk: Disk,
        *,
        behind_bytes: int,
    ) -> None:
        self.order = threading.RLock()
        self.bodies = bodies
        self._journal = journal
        self._reserve = reserve
        self._redo = redo
        self._disk = disk
        self._behind_bytes = behind_bytes
        """How much of the journal no checkpoint stands for, without the segment being written."""
        self._checkpoint_bytes = 0
        self._checkpointing = threading.Lock()

    @classmethod
    def recover(cls, folder: Folder, disk: Disk, *, clock: Callable[[], float]) -> "S3Log":
        """Give S3's models what the journal says. Raises DamagedError, OSError."""
        root = folder.path / "s3"
        disk.make_folder(root)
        reserve = Reserve(root / "reserve", RESERVE_BYTES, disk)
        files = Files(root, disk if disk.waits else Disk())  # a former run may have waited
        logged = read(root / REDO)
        records = [write for write in logged if is_segment(write.path)]
        reserve.spend_on(lambda: files.make(records))
        history = recover(root, folder, disk)
        for payload in history.payloads:
            s3_records.replay(s3_records.load(payload))
        reserve.take()
        bodies = Bodies(root / "bodies", disk, reserve=reserve, clock=clock)
        if history.next_segment == 1 and not bodies.is_empty():
            raise DamagedError(
                f"{root}: there are bodies of objects and no journal: restore the folder from a "
                "copy, or move it away to start without S3's objects"
            )
        used = s3_records.used_bodies()
        # Others would take room that there may not be.
        places = bodies.packs.places(used)
        files.make([write for write in logged if (write.path, write.offset) in places])
        (root / REDO).unlink(missing_ok=True)
        disk.sync_folder(root)
        unused, missing = bodies.settle(used)
        LOG.info(
            "keeper: S3 has %d bodies; %d files of writes that were not finished are deleted",
            len(used), unused,
        )  # fmt: skip
        for name in missing:
            LOG.error("keeper: the body of s3://%s is missing: %s", used[name], bodies.path(name))
        redo = _redo(root / REDO, bodies.packs.files, disk)
        put = partial(_put, packs=bodies.packs, redo=redo, reserve=reserve)
        journal = Journal(root, history.next_segment, disk, put=put)
        return cls(journal, bodies, reserve, redo, disk, behind_bytes=history.journal_bytes)

    def append(self, record: Record) -> int:
        """Add a record; it is on the disk after the next commit."""
        with self.order:
            return self._journal.append(s3_records.dump(record))

    def commit(self) -> None:
        """Wait until all that was appended is on the disk. Raises OSError."""
        with self.order:  # what was changed already is appended then
            upto = self._journal.appended
        self._reserve.spend_on(lambda: self._journal.commit(upto))

    def settle(self) -> None:
        """Wait until what a reader may have seen is on the disk, unless the disk takes nothing."""
        with contextlib.suppress(OSError):  # whoever wrote it is told
            self.commit()

    def discard(self, body: str | None) -> None:
        """Delete a body once all records so far are on the disk."""
        if body is not None:
            self.bodies.doom(body, self._journal.appended)

    def change_bucket[Answer](self, name: str, change: Callable[[], Answer]) -> Answer:
        """Have a bucket changed, and record what it is now, or that it is gone.

        Nobody changes what is in it meanwhile: no object may be recorded ahead of its bucket.
        """
        with self.order:
            before = s3_records.find_bucket(name)
            objects = before and before.objects
            answer = change()
            now = s3_records.find_bucket(name)
            if before is not None:
                s3_watch.bucket_replaced(self, before, objects, now)
            self.bucket_changed(name)
            return answer

    def bucket_changed(self, name: str) -> None:
        """Record what a bucket is now, or that it is gone."""
        with self.order:
            bucket = s3_records.find_bucket(name)
            if bucket is None:
                self.append(("drop", name))
            else:
                s3_watch.watch_bucket(self, bucket)
                self.append(s3_records.bucket_record(bucket))

    def object_changed(self, bucket: S3Bucket, key: str, version: str | None) -> None:
        """Record the metadata that a version has now, if it is there."""
        with self.order:
            of = (key, version) if isinstance(bucket.objects, VersionedKeyStore) else (key,)
            thing = bucket.objects.get(*of)
            if thing is not None:
                self.append(s3_records.change_record(bucket.name, thing))

    def watch(self) -> None:
        """Have LocalStack's models tell of what is put into them and taken out."""
        s3_watch.watch(self)

    def tend(self) -> None:
        """Delete what is useless; write a checkpoint if the journal has grown. Raises OSError."""
        try:
            self.commit()
            if self._redo:
                self._at_rest(self._redo.begin_settling)
        finally:  # a full disk gets room by that
            self.bodies.sweep(self._journal.durable)
        if not self._reserve.is_held:
            self._reserve.take()
        behind_bytes = self._behind_bytes + self._journal.size_bytes
        if self._reserve.is_held and behind_bytes > max(CHECKPOINT_BYTES, self._checkpoint_bytes):
            self.checkpoint()

    def _at_rest(self, do: Callable[[], None]) -> None:
        self._reserve.spend_on(lambda: self._journal.at_rest(do))

    def checkpoint(self) -> None:
        """Write down what is, so that what came before need not be kept. Raises OSError."""
        with self._checkpointing:
            with self.order:
                size_bytes = self._journal.size_bytes
                number = self._journal.rotate()
                makers = s3_records.everything()
            self._behind_bytes += size_bytes
            payloads = (s3_records.dump(record) for make in makers for record in make())
            self._checkpoint_bytes = write_checkpoint(
                self._journal.root, number, payloads, self._disk
            )
            self._behind_bytes = 0

    def close(self) -> None:
        """Commit all, and delete all that is useless. Raises OSError."""
        self.commit()
        self.bodies.sweep(self._journal.durable, grace_s=0)
        if self._redo:
            self._at_rest(self._redo.forget)


def _redo(path: Path, files: Files, disk: Disk) -> Redo | None:
    if not disk.waits:
        return None
    try:
        return Redo(path, files, disk)
    except OSError as exc:
        LOG.warning("keeper: S3 goes on without a redo log, slower: %s", exc)
        return None


def _put(
    segment: str, offset: int, records: bytes, *, packs: Packs, redo: Redo | None, reserve: Reserve
) -> bool:
    """Have bodies on the disk, and their records; return whether the latter are.

    Both by one sync, unless the bodies are so large that writing them twice costs more.
    """
    files = packs.files
    bodies, since = packs.unsynced()
    if redo is None or sum(len(write.data) for write in bodies) > LOGGED_BYTES:
        packs.sync()
        bodies, since = [], files.failures
    if redo is None:
        return False
    write = Write(segment, offset, records)
    if not redo.write([*bodies, write], since):
        redo.forget()  # an older try at this place must not be made again after this one
        packs.sync()
        return False
    packs.forget_unsynced(len(bodies))
    with contextlib.suppress(OSError):  # it is on the disk already, and is tried with the sync
        reserve.spend_on(lambda: files.make_room(segment, offset + len(records)))
    files.put_off(write)
    return True


def adopt_body(thing: Any, body: str) -> None:  # noqa: ANN401 - one of LocalStack's models
    """Say which body an object or a part has."""
    setattr(thing, s3_records.BODY, body)
