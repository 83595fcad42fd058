"""S3's models: written down as records, and made again of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from localstack.services.s3.models import s3_stores

from localstack_keeper.bodies import PACKED_BYTES
from localstack_keeper.files import Disk
from localstack_keeper.folder import Folder
from localstack_keeper.s3_log import S3Log
from localstack_keeper.s3_records import Record, dump, everything, find_bucket, load, replay

ACCOUNT, REGION = "000000000000", "us-east-1"


@pytest.fixture(autouse=True)
def _nothing_there() -> Iterator[None]:
    s3_stores.reset()
    yield
    s3_stores.reset()


def thing(key: str, version: str | None, body: str | None) -> dict[str, object]:
    kept = {} if body is None else {"keeper_body": body}
    return {"key": key, "version_id": version, "is_current": True, **kept}


def bucket(name: str, *, is_versioned: bool) -> tuple[object, ...]:
    attributes = {"name": name, "bucket_account_id": ACCOUNT, "bucket_region": REGION}
    return "bucket", name, ACCOUNT, is_versioned, attributes


def story(log: S3Log) -> list[tuple[object, ...]]:
    names = []
    for _ in range(5):
        draft = log.bodies.draft()
        draft.write(bytes(PACKED_BYTES + 1))  # a file of its own
        draft.finish()
        names.append(draft.name)
    return [
        bucket("b", is_versioned=False),
        ("object", "b", "k", False, thing("k", None, names[0])),
        ("object", "b", "gone", False, thing("gone", None, None)),
        ("gone", "b", "gone", None),
        bucket("b", is_versioned=True),
        ("object", "b", "k", False, thing("k", "v1", names[1])),
        ("object", "b", "k", False, thing("k", "v2", names[2])),
        ("change", "b", "k", "v1", {"acl": "changed"}),
        ("object", "b", "k", True, thing("k", "m1", None)),
        ("upload", "b", "u1", {"id": "u1"}, thing("up", None, None)),
        ("part", "b", "u1", 1, {"part_number": 1, "keeper_body": names[3]}),
        ("upload", "b", "u2", {"id": "u2"}, thing("up", None, None)),
        ("end", "b", "u2"),
        ("tags", ACCOUNT, REGION, "b/k/v1", {"a": "b"}),
        bucket("dropped", is_versioned=False),
        ("drop", "dropped"),
    ]


def now() -> list[Record]:
    return [record for make in everything() for record in make()]


def recovered(folder: Folder) -> S3Log:
    s3_stores.reset()
    return S3Log.recover(folder, Disk(), clock=lambda: 0.0)


def test_records_make_what_they_say_and_say_what_is_there(folder: Folder) -> None:
    log = recovered(folder)
    for record in story(log):
        replay(record)
    found = find_bucket("b")
    assert found is not None
    kept = [(one.version_id, one.is_current) for one in found.objects.values(with_versions=True)]
    assert kept == [("null", False), ("v1", False), ("v2", False), ("m1", True)]
    assert list(found.multiparts) == ["u1"]
    assert find_bucket("dropped") is None
    before = now()
    s3_stores.reset()
    for record in before:
        replay(load(dump(record)))
    assert now() == before


def test_reading_records_twice_does_no_harm(folder: Folder) -> None:
    """A checkpoint may hold what the segment after it says again."""
    for record in story(recovered(folder)):
        replay(record)
    before = now()
    for record in before:
        replay(record)
    assert now() == before


@pytest.mark.parametrize("has_checkpoint", [False, True])
def test_what_was_committed_is_recovered_from_journal_or_checkpoint(
    folder: Folder, *, has_checkpoint: bool
) -> None:
    log = recovered(folder)
    for record in story(log):
        replay(record)
        log.append(record)
    log.commit()
    if has_checkpoint:
        log.checkpoint()
        log.append(("object", "b", "later", False, thing("later", "v9", None)))
        log.commit()
        replay(("object", "b", "later", False, thing("later", "v9", None)))
    before = now()
    recovered(folder)
    assert now() == before


def test_bodies_that_no_record_names_are_deleted_at_the_start(folder: Folder) -> None:
    log = recovered(folder)
    for record in story(log):
        log.append(record)
    log.commit()
    recovered(folder)
    assert len(list(Path(folder.path, "s3/bodies").glob("*/*"))) == 4
