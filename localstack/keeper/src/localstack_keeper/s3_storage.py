"""LocalStack's S3 storage interface on immutable bodies.

Upstream rewrites one file for each key and version, under a lock that readers and writers share.
Here a writer makes a new body, so readers need no lock and a refused write harms nothing. Writers
of a key still exclude each other: LocalStack checks conditional writes inside that lock.
"""

import base64
import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, Literal
from weakref import WeakValueDictionary

from localstack.aws.api.s3 import NoSuchKey
from localstack.services.s3.constants import S3_CHUNK_SIZE
from localstack.services.s3.models import S3Multipart, S3Object, S3Part
from localstack.services.s3.storage.core import (
    LimitedStream,
    S3ObjectStore,
    S3StoredMultipart,
    S3StoredObject,
    should_copy_in_place,
)
from localstack.services.s3.utils import ObjectRange, get_s3_checksum

from localstack_keeper.object_bodies import Draft
from localstack_keeper.s3_journal_records import BODY, STORED, body_of, find_bucket
from localstack_keeper.s3_persistence import S3Persistence

Mode = Literal["r", "w"]
_NO_LOCK: Final = contextlib.nullcontext()


class KeyedLocks:
    """A lock for each key that is being written to, and none for others."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[object, threading.RLock] = WeakValueDictionary()
        self._guard = threading.Lock()

    def hold(self, key: object) -> threading.RLock:
        """Return a key's lock, which is there while somebody has it or waits for it."""
        with self._guard:
            return self._locks.setdefault(key, threading.RLock())


class PreconditionLocks:
    """`KeyedLocks` as LocalStack's provider asks for them: `locks[bucket][key]`.

    Upstream's are made when they are first asked for, by two at once two different ones, and are
    never deleted but while somebody has them.
    """

    def __init__(self, locks: KeyedLocks, *bucket: str) -> None:
        self._locks = locks
        self._bucket = bucket

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - a bucket's locks, or one of them
        """Return the locks of a bucket, or the lock of one of its keys."""
        if self._bucket:
            return self._locks.hold((*self._bucket, name))
        return PreconditionLocks(self._locks, name)

    def pop(self, _name: str, default: object = None) -> object:
        """Do nothing: a lock is there only while somebody has it."""
        return default


class StoredBody(S3StoredObject):
    """An object's or a part's body, opened to read or to be written anew."""

    def __init__(
        self,
        s3: S3Persistence,
        thing: S3Object | S3Part,
        mode: Mode = "r",
        lock: Any = _NO_LOCK,  # noqa: ANN401 - a context manager
    ) -> None:
        super().__init__(s3_object=thing, mode=mode)
        self.closed: bool = False
        self._s3 = s3
        self._cleanup = contextlib.ExitStack()
        self._cleanup.enter_context(lock)
        self._file: BinaryIO | None = None
        self._etag: str | None = None
        self._checksum: str | None = None
        if mode == "r":
            self._open()

    def write(self, s: Any) -> int:  # noqa: ANN401 - a stream, or a StoredBody
        """Make a new body of a stream; fill in size, ETag and checksum. Raises OSError."""
        thing = self.s3_object
        etag = hashlib.md5(usedforsecurity=False)
        algorithm = thing.checksum_algorithm
        checksum = get_s3_checksum(algorithm) if algorithm else None
        with self._new_body() as draft:
            while s is not None and (data := s.read(S3_CHUNK_SIZE)):
                draft.write(data)
                etag.update(data)
                if checksum:
                    checksum.update(data)
        self._etag = thing.etag = etag.hexdigest()
        self._checksum = base64.b64encode(checksum.digest()).decode() if checksum else None
        return draft.size_bytes

    def assemble(self, parts: list[str]) -> None:
        """Make a new body of other bodies, in order. Raises OSError."""
        with self._new_body() as draft:
            for name in parts:
                with self._s3.bodies.open(name) as file:
                    while data := file.read(S3_CHUNK_SIZE):
                        draft.write(data)

    @contextlib.contextmanager
    def _new_body(self) -> Iterator[Draft]:
        """Give the object the body that the caller writes."""
        draft = self._s3.bodies.draft()
        try:
            yield draft
        except BaseException:
            draft.drop()
            raise
        draft.finish()
        before = body_of(self.s3_object)
        setattr(self.s3_object, BODY, draft.name)
        if isinstance(self.s3_object, S3Object):
            self._s3.discard(before)
        self.s3_object.size = draft.size_bytes
        self.s3_object.internal_last_modified = time.time_ns()
        self._file = None

    def append(self, part: S3StoredObject) -> int:
        """Never called: an upload is completed in one go."""
        raise NotImplementedError

    def _open(self) -> BinaryIO:
        if self._file is None:
            name = body_of(self.s3_object)
            if name is None:
                raise NoSuchKey("The specified key does not exist.", Key=self.s3_object.key)
            self._file = self._cleanup.enter_context(self._s3.bodies.open(name))
        return self._file

    def read(self, s: int | None = -1) -> bytes:
        """Return at most so many bytes, b"" at the end."""
        return self._open().read(-1 if s is None else s)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Set the position in the body."""
        return self._open().seek(offset, whence)

    def close(self) -> None:
        """Release the lock; delete the body if no bucket has got its object."""
        if self.closed:
            return
        self.closed = True
        self._cleanup.close()
        is_stored = hasattr(self.s3_object, STORED)
        if self._mode == "w" and isinstance(self.s3_object, S3Object) and not is_stored:
            self._s3.discard(body_of(self.s3_object))

    @property
    def last_modified(self) -> int:
        """When the body was written, in ns: this object's, whatever is newest meanwhile."""
        at_ns: int = self.s3_object.internal_last_modified
        return at_ns

    @property
    def checksum(self) -> str | None:
        """The checksum of the body, by the object's algorithm; None without one."""
        algorithm = self.s3_object.checksum_algorithm
        if algorithm and self._checksum is None:
            digest = self._digest(get_s3_checksum(algorithm))
            self._checksum = base64.b64encode(digest.digest()).decode()
        return self._checksum

    @property
    def etag(self) -> str:
        """The MD5 of the body."""
        if self._etag is None:
            self._etag = self._digest(hashlib.md5(usedforsecurity=False)).hexdigest()
        return self._etag

    def _digest(self, digest: Any) -> Any:  # noqa: ANN401 - a hash, or a checksum
        before = self.seek(0, 1)
        self.seek(0)
        for data in self:
            digest.update(data)
        self.seek(before)
        return digest

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read(S3_CHUNK_SIZE):
            yield data


class StoredUpload(S3StoredMultipart):
    """The parts of a multipart upload. They know their bodies; there is nothing else to keep."""

    _s3_store: "FileObjectStore"

    def open(self, s3_part: S3Part, mode: Mode = "r") -> StoredBody:
        """Return a part's body."""
        store = self._s3_store
        if mode == "r":
            return StoredBody(store.s3, s3_part)
        key = (self.bucket, self.s3_multipart.id, s3_part.part_number)
        return StoredBody(store.s3, s3_part, mode, store.locks.hold(key))

    def remove_part(self, s3_part: S3Part) -> None:
        """Forget a part that was refused."""
        self._s3_store.s3.discard(body_of(s3_part))

    def complete_multipart(self, parts: list[S3Part]) -> None:
        """Make the object's body of its parts."""
        thing = self.s3_multipart.object
        StoredBody(self._s3_store.s3, thing, "w").assemble([body_of(part) or "" for part in parts])

    def close(self) -> None:
        """Do nothing: no file is open."""

    def copy_from_object(
        self,
        s3_part: S3Part,
        src_bucket: str,
        src_s3_object: S3Object,
        range_data: ObjectRange | None,
    ) -> None:
        """Make a part of an object, or of a range of it."""
        with (
            self._s3_store.open(src_bucket, src_s3_object) as source,
            self.open(s3_part, mode="w") as target,
        ):
            target.write(LimitedStream(source, range_data) if range_data else source)
            if s3_part.checksum_algorithm:
                s3_part.checksum_value = target.checksum


class FileObjectStore(S3ObjectStore):
    """All bodies of S3."""

    def __init__(self, s3: S3Persistence) -> None:
        self.s3 = s3
        self.locks = KeyedLocks()

    def open(self, bucket: str, s3_object: S3Object, mode: Mode = "r") -> StoredBody:
        """Return an object's body."""
        if mode == "w":
            key = (bucket, s3_object.key, s3_object.version_id or "null")
            return StoredBody(self.s3, s3_object, mode, self.locks.hold(key))
        try:
            return StoredBody(self.s3, s3_object)
        except FileNotFoundError:
            return StoredBody(self.s3, _current(bucket, s3_object))

    def remove(self, bucket: str, s3_object: S3Object | list[S3Object]) -> None:
        """Do nothing: a body is deleted when its object leaves its bucket, or gets into none."""

    def copy(
        self, src_bucket: str, src_object: S3Object, dest_bucket: str, dest_object: S3Object
    ) -> StoredBody:
        """Give an object the body of another; the same file if it takes that one's place."""
        if should_copy_in_place(src_bucket, src_object, dest_bucket, dest_object):
            setattr(dest_object, BODY, body_of(src_object))
            dest_object.internal_last_modified = src_object.internal_last_modified
            return self.open(dest_bucket, dest_object)
        with self.open(src_bucket, src_object) as source:
            target = self.open(dest_bucket, dest_object, mode="w")
            try:
                target.write(source)
            except BaseException:
                target.close()
                raise
        return target

    def get_multipart(self, bucket: str, upload_id: S3Multipart) -> StoredUpload:
        """Return an upload's parts."""
        return StoredUpload(self, bucket, upload_id)

    def remove_multipart(self, bucket: str, s3_multipart: S3Multipart) -> None:
        """Do nothing: parts are deleted when their upload leaves its bucket."""


def _current(bucket: str, thing: S3Object) -> Any:  # noqa: ANN401
    """Return what has taken an object's place since the caller looked it up."""
    found = find_bucket(bucket)
    if found is None:
        raise NoSuchKey("The specified key does not exist.", Key=thing.key)
    return found.get_object(key=thing.key)
