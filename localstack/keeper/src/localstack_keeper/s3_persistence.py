"""S3's durable state: a write-ahead journal of its metadata, and its objects' bodies.

A request changes LocalStack's models and appends records, both under one lock, so that records come
in the order of the changes; then it commits, and only then is it answered.
"""

import itertools
import logging
import pickle
import threading
from collections.abc import Callable
from typing import Final

from localstack.services.s3.models import S3Bucket

from localstack_keeper import legacy_redo_log, s3_change_capture, s3_journal_records
from localstack_keeper.disk import Disk, Reserve
from localstack_keeper.errors import DamagedError
from localstack_keeper.journal import Journal, recover, write_checkpoint
from localstack_keeper.object_bodies import Bodies
from localstack_keeper.s3_journal_records import Record
from localstack_keeper.state_folder import StateFolder

LOG = logging.getLogger(__name__)

# Reading as much takes about half a second at the next start.
CHECKPOINT_BYTES: Final = 8 * 1024 * 1024

# Some thousand deletions.
RESERVE_BYTES: Final = 256 * 1024


class S3Persistence:
    """What S3's provider, storage and models write to."""

    def __init__(
        self, journal: Journal, bodies: Bodies, reserve: Reserve, disk: Disk, *, behind_bytes: int
    ) -> None:
        self.lock = threading.RLock()
        """Held while models change and their records are appended."""
        self.bodies = bodies
        self._journal = journal
        self._reserve = reserve
        self._disk = disk
        self._behind_bytes = behind_bytes
        """How much of the journal no checkpoint replaces, without the segment being written."""
        self._checkpoint_bytes = 0
        self._checkpointing = threading.Lock()

    @classmethod
    def recover(
        cls, folder: StateFolder, disk: Disk, *, clock: Callable[[], float]
    ) -> "S3Persistence":
        """Replay the journal into S3's models. Raises DamagedError, OSError."""
        root = folder.path / "s3"
        disk.make_folder(root)
        reserve = Reserve(root / "reserve", RESERVE_BYTES, disk)
        reserve.spend_on(lambda: legacy_redo_log.apply(root))
        history = recover(root, folder, disk)
        for payload in history.payloads:
            s3_journal_records.replay(pickle.loads(payload))  # noqa: S301 - our own folder
        reserve.acquire()
        bodies = Bodies(root / "bodies", disk, reserve=reserve, clock=clock)
        if history.next_segment == 1 and not bodies.is_empty():
            raise DamagedError(
                f"{root}: there are bodies of objects and no journal: restore the folder from a "
                "copy, or move it away to start without S3's objects"
            )
        used = s3_journal_records.used_bodies()
        unused, missing = bodies.remove_orphans(used)
        LOG.info(
            "keeper: S3 has %d bodies; %d files of writes that were not finished are deleted",
            len(used), unused,
        )  # fmt: skip
        for name in missing:
            LOG.error("keeper: the body of s3://%s is missing: %s", used[name], bodies.path(name))
        journal = Journal(root, history.next_segment, disk, before=bodies.packs.sync)
        return cls(journal, bodies, reserve, disk, behind_bytes=history.journal_bytes)

    def append(self, record: Record) -> int:
        """Add a record; it is durable after the next commit."""
        with self.lock:
            return self._journal.append(pickle.dumps(record))

    def commit(self) -> None:
        """Make all that was appended durable. Raises OSError."""
        with self.lock:  # what was changed already is appended then
            upto = self._journal.appended
        self._reserve.spend_on(lambda: self._journal.commit(upto))

    def discard(self, body: str | None) -> None:
        """Delete a body once all records so far are durable."""
        if body is not None:
            self.bodies.mark_for_deletion(body, self._journal.appended)

    def change_bucket[Answer](self, name: str, change: Callable[[], Answer]) -> Answer:
        """Have a bucket changed, and record what it is now, or that it is gone.

        Nobody changes what is in it meanwhile: no object may be recorded ahead of its bucket.
        """
        with self.lock:
            before = s3_journal_records.find_bucket(name)
            objects = before and before.objects
            answer = change()
            now = s3_journal_records.find_bucket(name)
            if before is not None:
                s3_change_capture.replace_bucket(before, objects, now)
            self.bucket_changed(name)
            return answer

    def bucket_changed(self, name: str) -> None:
        """Record what a bucket is now, or that it is gone."""
        with self.lock:
            bucket = s3_journal_records.find_bucket(name)
            if bucket is None:
                self.append(("drop", name))
            else:
                s3_change_capture.capture_bucket(self, bucket)
                self.append(s3_journal_records.bucket_record(bucket))

    def object_changed(self, bucket: S3Bucket, key: str, version: str | None) -> None:
        """Record the metadata that a version has now, if it is there."""
        with self.lock:
            thing = s3_journal_records.find_version(bucket, key, version)
            if thing is not None:
                self.append(s3_journal_records.change_record(bucket.name, thing))

    def maintain(self) -> None:
        """Delete garbage; write a checkpoint if the journal has grown. Raises OSError."""
        try:
            self.commit()
        finally:  # a full disk gets room by that
            self.bodies.collect_garbage(self._journal.durable)
        if not self._reserve.is_held:
            self._reserve.acquire()
        behind_bytes = self._behind_bytes + self._journal.size_bytes
        if self._reserve.is_held and behind_bytes > max(CHECKPOINT_BYTES, self._checkpoint_bytes):
            self.checkpoint()

    def checkpoint(self) -> None:
        """Write all metadata, so that the journal before can be deleted. Raises OSError."""
        with self._checkpointing:
            with self.lock:
                size_bytes = self._journal.size_bytes
                number = self._journal.rotate()
                records = itertools.chain.from_iterable(s3_journal_records.everything())
            self._behind_bytes += size_bytes
            payloads = map(pickle.dumps, records)
            self._checkpoint_bytes = write_checkpoint(
                self._journal.root, number, payloads, self._disk
            )
            self._behind_bytes = 0

    def close(self) -> None:
        """Commit all, and delete all garbage. Raises OSError."""
        self.commit()
        self.bodies.collect_garbage(self._journal.durable, grace_s=0)
