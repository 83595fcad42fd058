"""Change capture: LocalStack's S3 models, patched to append a journal record for each change."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from localstack.aws.api.s3 import NoSuchBucket
from localstack.services.s3.models import (
    KeyStore,
    S3Bucket,
    S3Multipart,
    S3Part,
    S3Store,
    VersionedKeyStore,
    s3_stores,
)
from localstack.utils.patch import patch
from localstack.utils.tagging import Tags

from localstack_keeper import s3_journal_records
from localstack_keeper.s3_journal_records import BUCKET, STORED, body_of

if TYPE_CHECKING:
    from localstack_keeper.s3_persistence import S3Persistence

Model = Any
"""One of LocalStack's models, which have no types of their own."""

_GONE: Final = "keeper_gone"
"""An attribute of key stores whose bucket was deleted."""

_SUCCESSOR: Final = "keeper_successor"
"""An attribute of key stores: what the bucket has since it keeps versions."""


class Uploads(dict[str, S3Multipart]):
    """A bucket's multipart uploads."""

    def __init__(self, s3: "S3Persistence", bucket: str, uploads: dict[str, S3Multipart]) -> None:
        super().__init__(uploads)
        self._s3 = s3
        self._bucket = bucket
        for upload in uploads.values():
            upload.parts = Parts(s3, bucket, upload)

    def __setitem__(self, upload_id: str, upload: S3Multipart) -> None:
        """Begin an upload."""
        with self._s3.lock:
            upload.parts = Parts(self._s3, self._bucket, upload)
            super().__setitem__(upload_id, upload)
            self._s3.append(s3_journal_records.upload_record(self._bucket, upload))

    def pop(self, upload_id: str, default: Any = None) -> Any:  # noqa: ANN401 - as dict has it
        """End an upload, completed or aborted, and have its parts deleted."""
        with self._s3.lock:
            upload = super().pop(upload_id, default)
            if upload is not None:
                self._end(upload)
            return upload

    def _end(self, upload: S3Multipart) -> None:
        self._s3.append(("end", self._bucket, upload.id))
        upload.parts.is_over = True
        for part in upload.parts.values():
            self._s3.discard(body_of(part))
        if not hasattr(upload.object, STORED):  # assembled, and then refused
            self._s3.discard(body_of(upload.object))


class Parts(dict[str, S3Part]):
    """An upload's parts."""

    def __init__(self, s3: "S3Persistence", bucket: str, upload: S3Multipart) -> None:
        super().__init__(upload.parts)
        self.is_over = False
        self._s3 = s3
        self._bucket = bucket
        self._upload_id = upload.id

    def __setitem__(self, number: str, part: S3Part) -> None:
        """Add a part, or replace it."""
        with self._s3.lock:
            if self.is_over:  # ended while the part came in
                self._s3.discard(body_of(part))
                return
            previous = self.get(number)
            super().__setitem__(number, part)
            self._s3.append(s3_journal_records.part_record(self._bucket, self._upload_id, part))
            if body_of(previous) != body_of(part):
                self._s3.discard(body_of(previous))


def capture_bucket(s3: "S3Persistence", bucket: S3Bucket) -> None:
    """Capture a bucket's objects and uploads from now on."""
    setattr(bucket.objects, BUCKET, bucket.name)
    if not isinstance(bucket.multiparts, Uploads):
        bucket.multiparts = Uploads(s3, bucket.name, bucket.multiparts)


def replace_bucket(before: S3Bucket, objects: Model, now: S3Bucket | None) -> None:
    """Redirect those who hold a bucket's former objects to the present ones, or have them fail.

    `objects` is what `before` had. A request looks up its bucket and changes it later.
    """
    if now is None:
        setattr(objects, _GONE, True)
        for upload_id in list(before.multiparts):
            before.multiparts.pop(upload_id)
    elif now.objects is not objects:
        setattr(objects, _SUCCESSOR, now.objects)


def install(s3: "S3Persistence") -> None:
    """Patch the models, and what is in them already."""
    for bucket in s3_journal_records.all_buckets():
        capture_bucket(s3, bucket)
    for kind in (KeyStore, VersionedKeyStore):
        patch(kind.set)(partial(_set, s3))
        patch(kind.pop)(partial(_pop, s3))
    _capture_tags(s3)


def _set(
    s3: "S3Persistence",
    original: Callable[..., None],
    store: Model,
    object_key: str,
    s3_object: Model,
) -> None:
    with s3.lock:
        successor = getattr(store, _SUCCESSOR, None)
        if successor is not None:
            s3_object.version_id = s3_object.version_id or "null"
            successor.set(object_key, s3_object)
            return
        bucket = getattr(store, BUCKET, None)
        if hasattr(store, _GONE):
            raise NoSuchBucket("The specified bucket does not exist", BucketName=bucket)
        previous = _place(store, object_key, s3_object.version_id)
        setattr(s3_object, STORED, True)
        original(store, object_key, s3_object)
        if bucket is not None:
            s3.append(s3_journal_records.object_record(bucket, s3_object))
            if body_of(previous) != body_of(s3_object):
                s3.discard(body_of(previous))


def _pop(
    s3: "S3Persistence",
    original: Callable[..., Model],
    store: Model,
    object_key: str,
    *args: Model,
    **kwargs: Model,
) -> Model:
    with s3.lock:
        successor = getattr(store, _SUCCESSOR, None)
        if successor is not None:
            return successor.pop(object_key, "null")
        found = original(store, object_key, *args, **kwargs)
        bucket = getattr(store, BUCKET, None)
        if bucket is not None and found is not None:
            version = found.version_id if isinstance(store, VersionedKeyStore) else None
            s3.append(("gone", bucket, object_key, version))
            s3.discard(body_of(found))
        return found


def _place(store: Model, key: str, version: str | None) -> Model:
    """Return what a new version of a key will replace."""
    if isinstance(store, VersionedKeyStore):
        return store._store.get(key, {}).get(version)  # noqa: SLF001 - get() knows no "null" place
    return store.get(key)


def _capture_tags(s3: "S3Persistence") -> None:
    class CapturedTags(Tags):
        """Tags that record each change."""

        def update_tags(self, arn: str, tags: dict[str, str]) -> None:
            if tags or arn in self._tags:
                with s3.lock:
                    super().update_tags(arn, tags)
                    _tags_changed(s3, self, arn)

        def delete_tags(self, arn: str, keys: list[str]) -> None:
            with s3.lock:
                super().delete_tags(arn, keys)
                _tags_changed(s3, self, arn)

        def delete_all_tags(self, arn: str) -> None:
            if arn in self._tags:
                with s3.lock:
                    super().delete_all_tags(arn)
                    _tags_changed(s3, self, arn)

    vars(S3Store)["tags"].default = CapturedTags
    for _, _, store in s3_stores.iter_stores():
        tags = CapturedTags()
        tags._tags = store.tags._tags  # noqa: SLF001 - what was restored
        store.tags = tags


def _tags_changed(s3: "S3Persistence", tags: Tags, resource: str) -> None:
    for account, region, store in list(s3_stores.iter_stores()):
        if vars(store).get("attr_tags") is tags:
            now = tags._tags.get(resource)  # noqa: SLF001 - get_tags hides that there are none
            s3.append(("tags", account, region, resource, now and dict(now)))
