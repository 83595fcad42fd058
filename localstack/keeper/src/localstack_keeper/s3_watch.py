"""LocalStack's S3 models, made to tell of each change.

Each hook changes the model and appends the record under one lock, so that records come in the order
of the changes.
"""

from collections.abc import Callable
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

from localstack_keeper import s3_records
from localstack_keeper.s3_records import BUCKET, TAKEN, body_of

if TYPE_CHECKING:
    from localstack_keeper.s3_log import S3Log

Model = Any
"""One of LocalStack's models, which have no types of their own."""

_GONE: Final = "keeper_gone"
"""An attribute of key stores whose bucket was deleted."""

_SUCCESSOR: Final = "keeper_successor"
"""An attribute of key stores: what the bucket has since it keeps versions."""


class Uploads(dict[str, S3Multipart]):
    """A bucket's multipart uploads."""

    def __init__(self, log: "S3Log", bucket: str, uploads: dict[str, S3Multipart]) -> None:
        super().__init__(uploads)
        self._log = log
        self._bucket = bucket
        for upload in uploads.values():
            self._watch(upload)

    def _watch(self, upload: S3Multipart) -> None:
        upload.parts = Parts(self._log, self._bucket, upload.id, upload.parts)

    def __setitem__(self, upload_id: str, upload: S3Multipart) -> None:
        """Begin an upload."""
        with self._log.order:
            self._watch(upload)
            super().__setitem__(upload_id, upload)
            self._log.append(s3_records.upload_record(self._bucket, upload))

    def pop(self, upload_id: str, default: Any = None) -> Any:  # noqa: ANN401 - as dict has it
        """End an upload, completed or aborted, and have its parts deleted."""
        with self._log.order:
            upload = super().pop(upload_id, default)
            if upload is not None:
                self._end(upload)
            return upload

    def _end(self, upload: S3Multipart) -> None:
        self._log.append(("end", self._bucket, upload.id))
        upload.parts.is_over = True
        for part in upload.parts.values():
            self._log.discard(body_of(part))
        if not hasattr(upload.object, TAKEN):  # assembled, and then refused
            self._log.discard(body_of(upload.object))


class Parts(dict[str, S3Part]):
    """An upload's parts."""

    def __init__(self, log: "S3Log", bucket: str, upload_id: str, parts: dict[str, S3Part]) -> None:
        super().__init__(parts)
        self.is_over = False
        self._log = log
        self._bucket = bucket
        self._upload_id = upload_id

    def __setitem__(self, number: str, part: S3Part) -> None:
        """Add a part, or replace it."""
        with self._log.order:
            if self.is_over:  # ended while the part came in
                self._log.discard(body_of(part))
                return
            previous = self.get(number)
            super().__setitem__(number, part)
            self._log.append(s3_records.part_record(self._bucket, self._upload_id, part))
            if body_of(previous) != body_of(part):
                self._log.discard(body_of(previous))


def watch_bucket(log: "S3Log", bucket: S3Bucket) -> None:
    """Have a bucket tell of its objects and uploads from now on."""
    setattr(bucket.objects, BUCKET, bucket.name)
    if not isinstance(bucket.multiparts, Uploads):
        bucket.multiparts = Uploads(log, bucket.name, bucket.multiparts)


def bucket_replaced(log: "S3Log", before: S3Bucket, objects: Model, now: S3Bucket | None) -> None:
    """Tell those who still hold a bucket's former objects where they are now, or that they are not.

    `objects` is what `before` had. A request looks up its bucket and changes it later.
    """
    if now is None:
        setattr(objects, _GONE, True)
        for upload_id in list(before.multiparts):
            before.multiparts.pop(upload_id)
    elif now.objects is not objects:
        setattr(objects, _SUCCESSOR, now.objects)
    if now is not None:
        watch_bucket(log, now)


def watch(log: "S3Log") -> None:
    """Have all models tell of what is put into them and taken out."""
    for bucket in s3_records.all_buckets():
        watch_bucket(log, bucket)
    for kind in (KeyStore, VersionedKeyStore):
        patch(kind.set)(_putting(log))
        patch(kind.pop)(_popping(log))
    _watch_tags(log)


def _putting(log: "S3Log") -> Callable[..., None]:
    def put(original: Callable[..., None], store: Model, object_key: str, s3_object: Model) -> None:
        with log.order:
            successor = getattr(store, _SUCCESSOR, None)
            if successor is not None:
                s3_object.version_id = s3_object.version_id or "null"
                successor.set(object_key, s3_object)
                return
            bucket = getattr(store, BUCKET, None)
            if hasattr(store, _GONE):
                raise NoSuchBucket("The specified bucket does not exist", BucketName=bucket)
            previous = _place(store, object_key, s3_object.version_id)
            setattr(s3_object, TAKEN, True)
            original(store, object_key, s3_object)
            if bucket is not None:
                log.append(s3_records.object_record(bucket, s3_object))
                if body_of(previous) != body_of(s3_object):
                    log.discard(body_of(previous))

    return put


def _popping(log: "S3Log") -> Callable[..., Model]:
    def pop(
        original: Callable[..., Model], store: Model, object_key: str, *args: Model, **kwargs: Model
    ) -> Model:
        with log.order:
            successor = getattr(store, _SUCCESSOR, None)
            if successor is not None:
                return successor.pop(object_key, "null")
            found = original(store, object_key, *args, **kwargs)
            bucket = getattr(store, BUCKET, None)
            if bucket is not None and found is not None:
                version = found.version_id if isinstance(store, VersionedKeyStore) else None
                log.append(("gone", bucket, object_key, version))
                log.discard(body_of(found))
            return found

    return pop


def _place(store: Model, key: str, version: str | None) -> Model:
    """Return what a new version of a key will replace."""
    if isinstance(store, VersionedKeyStore):
        return store._store.get(key, {}).get(version)  # noqa: SLF001 - get() knows no "null" place
    return store.get(key)


def _watch_tags(log: "S3Log") -> None:
    class WatchedTags(Tags):
        """Tags that tell of each change."""

        def update_tags(self, arn: str, tags: dict[str, str]) -> None:
            if tags or arn in self._tags:
                with log.order:
                    super().update_tags(arn, tags)
                    _tags_changed(log, self, arn)

        def delete_tags(self, arn: str, keys: list[str]) -> None:
            with log.order:
                super().delete_tags(arn, keys)
                _tags_changed(log, self, arn)

        def delete_all_tags(self, arn: str) -> None:
            if arn in self._tags:
                with log.order:
                    super().delete_all_tags(arn)
                    _tags_changed(log, self, arn)

    vars(S3Store)["tags"].default = WatchedTags
    for _, _, store in s3_stores.iter_stores():
        tags = WatchedTags()
        tags._tags = store.tags._tags  # noqa: SLF001 - what was restored
        store.tags = tags


def _tags_changed(log: "S3Log", tags: Tags, resource: str) -> None:
    for account, region, store in list(s3_stores.iter_stores()):
        if vars(store).get("attr_tags") is tags:
            now = tags._tags.get(resource)  # noqa: SLF001 - get_tags hides that there are none
            log.append(("tags", account, region, resource, now and dict(now)))
