"""S3's models: written down as records, and made again of them."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from localstack.services.s3.models import s3_stores
from tests.small_disk import SmallDisk

from localstack_keeper import s3_log
from localstack_keeper.bodies import GRACE_S, PACKED_BYTES
from localstack_keeper.files import Disk, disk
from localstack_keeper.folder import Folder
from localstack_keeper.redo import HALF_BYTES, Redo
from localstack_keeper.s3_log import RESERVE_BYTES, S3Log
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


def test_a_record_that_failed_does_not_come_back_over_one_that_took_its_place(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The redo log has it; what is too large for the log goes to the journal by itself."""
    monkeypatch.setattr(s3_log, "Redo", partial(Redo, half_bytes=8192))
    fails = [False]

    def sync(_fd: int) -> None:
        if fails[0]:
            raise OSError("no sync")

    log = S3Log.recover(folder, Disk(sync=sync), clock=lambda: 0.0)
    log.append(bucket("first", is_versioned=False))
    fails[0] = True
    with pytest.raises(OSError, match="no sync"):
        log.commit()
    fails[0] = False
    for n in range(100):
        log.append(bucket(f"large{n}", is_versioned=False))
    log.commit()
    recovered(folder)
    assert find_bucket("first") is not None
    assert find_bucket("large99") is not None


def test_without_room_for_a_redo_log_all_is_synced_by_itself(
    folder: Folder, small_disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    small_disk.room_bytes = 10_000_000
    log = S3Log.recover(folder, small_disk.disk(), clock=lambda: 0.0)
    assert "without a redo log" in caplog.text
    assert not (folder.path / "s3/redo").exists()
    small_disk.room_bytes = 1_000_000
    log.append(bucket("b", is_versioned=False))
    log.commit()
    recovered(folder)
    assert find_bucket("b") is not None


def test_one_that_does_not_wait_for_the_disk_leaves_no_redo_log(folder: Folder) -> None:
    """Else a later start would make writes again that others have followed."""
    recovered(folder)
    assert (folder.path / "s3/redo").exists()
    S3Log.recover(folder, disk(sync=False), clock=lambda: 0.0)
    assert not (folder.path / "s3/redo").exists()


def test_on_a_full_disk_deletions_go_on_and_so_does_a_start(
    folder: Folder, small_disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    """They are in the redo log, which has its room; their journal gets what was reserved."""
    small_disk.room_bytes = 2 * HALF_BYTES + RESERVE_BYTES + 2000  # the last for the first records
    log = S3Log.recover(folder, small_disk.disk(), clock=lambda: 0.0)
    log.append(bucket("b", is_versioned=False))
    for n in range(20):
        log.append(("object", "b", f"k{n}", False, thing(f"k{n}", None, None)))
    log.commit()
    small_disk.room_bytes = 0
    for n in range(19):
        log.append(("gone", "b", f"k{n}", None))
        log.commit()
    assert "the disk is full" in caplog.text
    with pytest.raises(OSError, match="No space"):
        log.bodies.draft()
    small_disk.room_bytes = RESERVE_BYTES  # which was given up
    s3_stores.reset()
    S3Log.recover(folder, small_disk.disk(), clock=lambda: 0.0)
    found = find_bucket("b")
    assert found is not None
    assert [one.key for one in found.objects.values()] == ["k19"]


def test_while_nothing_can_be_written_bodies_go_whose_deletion_was(folder: Folder) -> None:
    fails = [False]

    def sync(_fd: int) -> None:
        if fails[0]:
            raise OSError("no sync")

    now = [0.0]
    log = S3Log.recover(folder, Disk(sync=sync), clock=lambda: now[0])
    draft = log.bodies.draft()
    draft.write(b"body")
    draft.finish()
    log.discard(draft.name)
    log.append(bucket("later", is_versioned=False))
    now[0] = GRACE_S
    fails[0] = True
    with pytest.raises(OSError, match="no sync"):
        log.tend()
    with pytest.raises(FileNotFoundError):
        log.bodies.open(draft.name)
