"""Each change of S3's models is recorded, in its order, whoever else changes them at the time."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from localstack.aws.api.s3 import NoSuchBucket
from localstack.services.s3.models import (
    KeyStore,
    S3Bucket,
    S3DeleteMarker,
    S3Multipart,
    S3Object,
    S3Part,
    S3Store,
    VersionedKeyStore,
    s3_stores,
)

from localstack_keeper import s3_change_capture
from localstack_keeper.disk import Disk
from localstack_keeper.object_bodies import PACKED_BYTES
from localstack_keeper.s3_journal_records import BODY, body_of, everything, find_bucket, replay
from localstack_keeper.s3_persistence import S3Persistence
from localstack_keeper.s3_storage import KeyedLocks, PreconditionLocks
from localstack_keeper.state_folder import StateFolder

ACCOUNT, REGION = "000000000000", "us-east-1"


@pytest.fixture
def s3(folder: StateFolder) -> Iterator[S3Persistence]:
    """Return a s3 that S3's models write to, for the time of a test."""
    before = [(kind, kind.set, kind.pop) for kind in (KeyStore, VersionedKeyStore)]
    tags = vars(S3Store)["tags"].default
    s3_stores.reset()
    s3 = S3Persistence.recover(folder, Disk(), clock=lambda: 0.0)
    s3_change_capture.install(s3)
    yield s3
    for kind, put, pop in before:
        kind.set, kind.pop = put, pop
    vars(S3Store)["tags"].default = tags
    s3_stores.reset()


def store() -> Any:  # noqa: ANN401 - an S3Store
    return s3_stores[ACCOUNT][REGION]


def make_bucket(s3: S3Persistence, name: str = "b") -> S3Bucket:
    def make() -> None:
        store().buckets[name] = S3Bucket(name, ACCOUNT, REGION, owner=None)

    s3.change_bucket(name, make)
    found = find_bucket(name)
    assert found is not None
    return found


def drop_bucket(s3: S3Persistence, name: str = "b") -> None:
    s3.change_bucket(name, lambda: store().buckets.pop(name))


def keep_versions(s3: S3Persistence, bucket: S3Bucket) -> None:
    def change() -> None:
        bucket.objects = VersionedKeyStore.from_key_store(bucket.objects)
        bucket.versioning_status = "Enabled"

    s3.change_bucket(bucket.name, change)


def with_body(s3: S3Persistence, thing: Any) -> Any:  # noqa: ANN401 - an object, or a part
    draft = s3.bodies.draft()
    draft.write(bytes(PACKED_BYTES + 1))
    draft.finish()
    setattr(thing, BODY, draft.name)
    return thing


def begin_upload(bucket: S3Bucket) -> S3Multipart:
    upload = S3Multipart("k")
    bucket.multiparts[upload.id] = upload
    return upload


def names(folder: StateFolder) -> set[str]:
    """Return the bodies that are there: each is too large for a pack."""
    return {path.name for path in Path(folder.path, "s3/bodies").glob("*/*")}


def now() -> list[Any]:
    return [record for records in everything() for record in records]


def recovered(folder: StateFolder) -> list[Any]:
    """Return what a start would find."""
    s3_stores.reset()
    S3Persistence.recover(folder, Disk(), clock=lambda: 0.0)
    return now()


def test_a_replaced_part_gives_its_room_back_whoever_replaces_it(
    s3: S3Persistence, folder: StateFolder
) -> None:
    upload = begin_upload(make_bucket(s3))
    parts = [with_body(s3, S3Part(1)) for _ in range(8)]
    ready = threading.Barrier(len(parts))

    def put(part: S3Part) -> None:
        ready.wait()
        upload.parts["1"] = part

    threads = [threading.Thread(target=put, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    s3.close()
    assert names(folder) == {body_of(upload.parts["1"])}
    kept = now()
    assert recovered(folder) == kept


def test_a_part_that_comes_after_the_end_of_its_upload_leaves_nothing(
    s3: S3Persistence, folder: StateFolder
) -> None:
    bucket = make_bucket(s3)
    upload = begin_upload(bucket)
    upload.parts["1"] = with_body(s3, S3Part(1))
    bucket.multiparts.pop(upload.id)
    upload.parts["2"] = with_body(s3, S3Part(2))
    s3.close()
    assert names(folder) == set()


def test_what_an_aborted_upload_had_assembled_gives_its_room_back(
    s3: S3Persistence, folder: StateFolder
) -> None:
    bucket = make_bucket(s3)
    upload = begin_upload(bucket)
    with_body(s3, upload.object)
    bucket.multiparts.pop(upload.id)
    s3.close()
    assert names(folder) == set()


def test_what_a_completed_upload_made_stays(s3: S3Persistence, folder: StateFolder) -> None:
    bucket = make_bucket(s3)
    upload = begin_upload(bucket)
    upload.parts["1"] = with_body(s3, S3Part(1))
    bucket.objects.set("k", with_body(s3, upload.object))
    bucket.multiparts.pop(upload.id)
    s3.close()
    assert names(folder) == {body_of(upload.object)}


def test_a_bucket_is_deleted_with_the_parts_of_its_uploads(
    s3: S3Persistence, folder: StateFolder
) -> None:
    begin_upload(make_bucket(s3)).parts["1"] = with_body(s3, S3Part(1))
    drop_bucket(s3)
    s3.close()
    assert names(folder) == set()
    assert recovered(folder) == []


def test_a_put_into_a_bucket_that_was_deleted_meanwhile_is_refused(
    s3: S3Persistence, folder: StateFolder
) -> None:
    """Also if another bucket has its name since."""
    bucket = make_bucket(s3)
    drop_bucket(s3)
    make_bucket(s3)
    with pytest.raises(NoSuchBucket):
        bucket.objects.set("k", with_body(s3, S3Object("k")))
    s3.commit()
    kept = now()
    assert len(kept) == 1
    assert recovered(folder) == kept


def test_a_put_that_began_before_there_were_versions_is_one(
    s3: S3Persistence, folder: StateFolder
) -> None:
    bucket = make_bucket(s3)
    looked_up = bucket.objects
    looked_up.set("old", with_body(s3, S3Object("old")))
    keep_versions(s3, bucket)
    looked_up.set("late", with_body(s3, S3Object("late")))
    looked_up.pop("old", None)
    s3.commit()
    assert [one.version_id for one in bucket.objects.values(with_versions=True)] == ["null"]
    assert bucket.get_object("late").key == "late"
    kept = now()
    assert recovered(folder) == kept


def test_a_checkpoint_keeps_which_version_is_current(
    s3: S3Persistence, folder: StateFolder
) -> None:
    """Upstream puts a new "null" version where the one before was: not last, and current."""
    bucket = make_bucket(s3)
    bucket.objects.set("k", S3Object("k"))
    keep_versions(s3, bucket)
    for version in ("v1", "null"):
        bucket.objects.set("k", S3Object("k", version_id=version))
    bucket.objects.set("m", S3Object("m", version_id="v1"))
    bucket.objects.set("m", S3DeleteMarker("m", "v2"))

    def current() -> list[tuple[str, str, bool]]:
        found = find_bucket("b")
        assert found is not None
        objects = found.objects.values(with_versions=True)
        return [(one.key, one.version_id, one.is_current) for one in objects]

    before = current()
    assert before[:2] == [("k", "null", True), ("k", "v1", False)]
    records = now()
    s3_stores.reset()
    for record in records:
        replay(record)
    assert current() == before
    s3.checkpoint()
    recovered(folder)
    assert current() == before


def test_bodies_without_a_journal_are_not_deleted(s3: S3Persistence, folder: StateFolder) -> None:
    make_bucket(s3).objects.set("k", with_body(s3, S3Object("k")))
    s3.commit()
    for path in Path(folder.path, "s3").glob("journal-*"):
        path.unlink()
    with pytest.raises(Exception, match="bodies of objects and no journal"):
        recovered(folder)
    assert len(names(folder)) == 1


def test_a_key_has_one_lock_however_many_ask_for_it_first() -> None:
    locks = PreconditionLocks(KeyedLocks())
    inside, most = 0, 0
    guard = threading.Lock()
    ready = threading.Barrier(8)

    def work() -> None:
        nonlocal inside, most
        ready.wait()
        for _ in range(200):
            with locks["b"]["k"]:
                with guard:
                    inside += 1
                    most = max(most, inside)
                with guard:
                    inside -= 1
            locks["b"].pop("k")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
