"""S3's metadata as journal records, and their replay into LocalStack's models.

Records are idempotent: each says what is, not what was done.

    bucket  name, account, is it versioned, attributes    put or changed
    drop    name                                          deleted
    object  bucket, key, is it a marker, attributes       the newest version of its key
    change  bucket, key, version, attributes              metadata, wherever it stands
    gone    bucket, key, version                          None where keys have no versions
    upload  bucket, id, attributes, its object's          a multipart upload, begun
    part    bucket, id, number, attributes
    end     bucket, id                                    completed or aborted
    tags    account, region, resource, tags or None
    reset                                                 everything is gone

`BODY`, an attribute of objects and parts, names their file.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any, Final

from localstack.services.s3.models import (
    KeyStore,
    S3Bucket,
    S3DeleteMarker,
    S3Multipart,
    S3Object,
    S3Part,
    VersionedKeyStore,
    s3_stores,
)

LOG = logging.getLogger(__name__)

BODY: Final = "keeper_body"
BUCKET: Final = "keeper_bucket"
"""An attribute of key stores: the bucket's name, while it exists."""

STORED: Final = "keeper_taken"
"""An attribute of objects that a bucket has, or had."""

Record = tuple[Any, ...]
Attributes = dict[str, Any]


def body_of(thing: object) -> str | None:
    """Return the name of an object's or a part's body; None for what has none."""
    return getattr(thing, BODY, None)


def all_buckets() -> list[S3Bucket]:
    """Return the buckets of all accounts; an account's are the same in each of its regions."""
    by_name = {
        name: bucket
        for _, _, store in list(s3_stores.iter_stores())
        for name, bucket in list(store.buckets.items())
    }
    return list(by_name.values())


def find_bucket(name: str) -> S3Bucket | None:
    """Return a bucket of any account."""
    for regions in list(s3_stores.values()):
        for store in list(regions.values())[:1]:
            if name in store.buckets:
                return store.buckets[name]
    return None


def bucket_record(bucket: S3Bucket) -> Record:
    """Return what makes a bucket, without what is in it."""
    attributes = {**vars(bucket)}
    del attributes["objects"], attributes["multiparts"]
    is_versioned = isinstance(bucket.objects, VersionedKeyStore)
    return "bucket", bucket.name, bucket.bucket_account_id, is_versioned, attributes


def object_record(bucket: str, thing: S3Object | S3DeleteMarker) -> Record:
    """Return what makes an object or a delete marker the newest version of its key."""
    return "object", bucket, thing.key, isinstance(thing, S3DeleteMarker), dict(vars(thing))


def change_record(bucket: str, thing: S3Object | S3DeleteMarker) -> Record:
    """Return what a version's metadata is now."""
    return "change", bucket, thing.key, thing.version_id, dict(vars(thing))


def upload_record(bucket: str, upload: S3Multipart) -> Record:
    """Return what makes a multipart upload, without its parts."""
    attributes = {**vars(upload)}
    del attributes["parts"], attributes["object"]
    return "upload", bucket, upload.id, attributes, dict(vars(upload.object))


def part_record(bucket: str, upload_id: str, part: S3Part) -> Record:
    """Return what makes a part."""
    return "part", bucket, upload_id, part.part_number, dict(vars(part))


def everything() -> list[Iterator[Record]]:
    """Return all records that restore what is there now.

    Quick: of objects only keys are noted here; a change before an iterator gets there is journalled
    too.
    """
    buckets = [
        _bucket_records(
            bucket,
            bucket_record(bucket),
            bucket.objects.values(with_versions=True),
            [(upload, list(upload.parts.values())) for upload in bucket.multiparts.values()],
        )
        for bucket in all_buckets()
    ]
    tags = [
        ("tags", account, region, resource, dict(pairs))
        for account, region, store in list(s3_stores.iter_stores())
        for resource, pairs in store.tags._tags.items()  # noqa: SLF001 - all of them
    ]
    return [*buckets, iter(tags)]


def _bucket_records(
    bucket: S3Bucket,
    begin: Record,
    objects: list[S3Object | S3DeleteMarker],
    uploads: list[tuple[S3Multipart, list[S3Part]]],
) -> Iterator[Record]:
    yield begin
    for thing in objects:
        yield object_record(bucket.name, thing)
    for thing in _out_of_order(objects):
        yield change_record(bucket.name, thing)
    for upload, parts in uploads:
        yield upload_record(bucket.name, upload)
        for part in parts:
            yield part_record(bucket.name, upload.id, part)


def _out_of_order(objects: list[S3Object | S3DeleteMarker]) -> Iterator[S3Object | S3DeleteMarker]:
    """Yield versions that are current and not the last of their key, or the last and not current.

    LocalStack puts a new "null" version where the one before was.
    """
    last = {thing.key: thing for thing in objects}
    for thing in objects:
        if thing.is_current != (last[thing.key] is thing):
            yield thing


def replay(record: Record) -> None:
    """Apply a record to LocalStack's models. Raises KeyError for a record of no known kind."""
    kind, *fields = record
    if kind in _REPLAY:
        _REPLAY[kind](*fields)
        return
    apply = _REPLAY_IN_BUCKET[kind]
    bucket = find_bucket(fields[0])
    if bucket is not None:
        apply(bucket, *fields[1:])


def used_bodies() -> dict[str, str]:
    """Return the name of each object's and part's body, and what it belongs to."""
    found = {}
    for bucket in all_buckets():
        parts = (part for upload in bucket.multiparts.values() for part in upload.parts.values())
        for thing in (*bucket.objects.values(with_versions=True), *parts):
            name = body_of(thing)
            if name is not None:
                found[name] = f"{bucket.name}/{getattr(thing, 'key', 'part of an upload')}"
    return found


def _made[T](kind: type[T], attributes: Attributes) -> T:
    made = kind.__new__(kind)
    vars(made).update(attributes)
    return made


def _bucket(name: str, account: str, is_versioned: bool, attributes: Attributes) -> None:  # noqa: FBT001 - as recorded
    bucket = find_bucket(name)
    if bucket is None:
        bucket = S3Bucket.__new__(S3Bucket)
        bucket.objects = VersionedKeyStore() if is_versioned else KeyStore()
        bucket.multiparts = {}
        store = s3_stores[account][attributes["bucket_region"]]
        store.buckets[name] = bucket
        store.global_bucket_map[name] = account
    vars(bucket).update(attributes)
    if is_versioned and isinstance(bucket.objects, KeyStore):
        bucket.objects = VersionedKeyStore.from_key_store(bucket.objects)
    setattr(bucket.objects, BUCKET, name)


def _drop(name: str) -> None:
    for _, _, store in s3_stores.iter_stores():
        store.buckets.pop(name, None)
        store.global_bucket_map.pop(name, None)


def _object(bucket: S3Bucket, key: str, is_marker: bool, attributes: Attributes) -> None:  # noqa: FBT001 - as recorded
    bucket.objects.set(key, _made(S3DeleteMarker if is_marker else S3Object, attributes))


def _change(bucket: S3Bucket, key: str, version: str | None, attributes: Attributes) -> None:
    thing = find_version(bucket, key, version)
    if thing is not None:
        vars(thing).update(attributes)


def find_version(bucket: S3Bucket, key: str, version: str | None) -> Any:  # noqa: ANN401
    """Return a version of a key, None if it is not there."""
    is_versioned = isinstance(bucket.objects, VersionedKeyStore)
    return bucket.objects.get(key, version) if is_versioned else bucket.objects.get(key)


def _gone(bucket: S3Bucket, key: str, version: str | None) -> None:
    is_versioned = isinstance(bucket.objects, VersionedKeyStore)
    bucket.objects.pop(key, version) if is_versioned else bucket.objects.pop(key)


def _upload(bucket: S3Bucket, upload_id: str, attributes: Attributes, thing: Attributes) -> None:
    upload = _made(S3Multipart, {**attributes, "parts": {}})
    upload.object = _made(S3Object, thing)
    bucket.multiparts[upload_id] = upload


def _part(bucket: S3Bucket, upload_id: str, number: int, attributes: Attributes) -> None:
    if upload_id in bucket.multiparts:
        bucket.multiparts[upload_id].parts[str(number)] = _made(S3Part, attributes)


def _end(bucket: S3Bucket, upload_id: str) -> None:
    bucket.multiparts.pop(upload_id, None)


def _tags(account: str, region: str, resource: str, tags: dict[str, str] | None) -> None:
    known = s3_stores[account][region].tags
    known.delete_all_tags(resource)
    if tags is not None:
        known.update_tags(resource, tags)


_REPLAY: Final[dict[str, Callable[..., None]]] = {
    "bucket": _bucket,
    "drop": _drop,
    "tags": _tags,
    "reset": s3_stores.reset,
}

_REPLAY_IN_BUCKET: Final[dict[str, Callable[..., None]]] = {
    "object": _object,
    "change": _change,
    "gone": _gone,
    "upload": _upload,
    "part": _part,
    "end": _end,
}
