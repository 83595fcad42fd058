"""S3's models: written down as records, and made again of them."""

import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from localstack.services.s3.models import s3_stores
from tests.small_disk import SmallDisk

from localstack_keeper.disk import Disk
from localstack_keeper.object_bodies import GRACE_S, PACKED_BYTES
from localstack_keeper.s3_journal_records import Record, everything, find_bucket, replay
from localstack_keeper.s3_persistence import RESERVE_BYTES, S3Persistence
from localstack_keeper.state_folder import StateFolder

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


def story(s3: S3Persistence) -> list[tuple[object, ...]]:
    names = []
    for _ in range(5):
        draft = s3.bodies.draft()
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
    return [record for records in everything() for record in records]


def recovered(folder: StateFolder) -> S3Persistence:
    s3_stores.reset()
    return S3Persistence.recover(folder, Disk(), clock=lambda: 0.0)


def test_records_make_what_they_say_and_say_what_is_there(folder: StateFolder) -> None:
    s3 = recovered(folder)
    for record in story(s3):
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
        replay(pickle.loads(pickle.dumps(record)))  # noqa: S301
    assert now() == before


def test_reading_records_twice_does_no_harm(folder: StateFolder) -> None:
    """A checkpoint may hold what the segment after it says again."""
    for record in story(recovered(folder)):
        replay(record)
    before = now()
    for record in before:
        replay(record)
    assert now() == before


@pytest.mark.parametrize("has_checkpoint", [False, True])
def test_what_was_committed_is_recovered_from_journal_or_checkpoint(
    folder: StateFolder, *, has_checkpoint: bool
) -> None:
    s3 = recovered(folder)
    for record in story(s3):
        replay(record)
        s3.append(record)
    s3.commit()
    if has_checkpoint:
        s3.checkpoint()
        s3.append(("object", "b", "later", False, thing("later", "v9", None)))
        s3.commit()
        replay(("object", "b", "later", False, thing("later", "v9", None)))
    before = now()
    recovered(folder)
    assert now() == before


def test_bodies_that_no_record_names_are_deleted_at_the_start(folder: StateFolder) -> None:
    s3 = recovered(folder)
    for record in story(s3):
        s3.append(record)
    s3.commit()
    recovered(folder)
    assert len(list(Path(folder.path, "s3/bodies").glob("*/*"))) == 4


def test_a_record_that_failed_does_not_come_back_over_one_that_took_its_place(
    folder: StateFolder,
) -> None:
    fails = [False]

    def sync(_fd: int) -> None:
        if fails[0]:
            raise OSError("no sync")

    s3 = S3Persistence.recover(folder, Disk(sync=sync), clock=lambda: 0.0)
    s3.append(bucket("first", is_versioned=False))
    fails[0] = True
    with pytest.raises(OSError, match="no sync"):
        s3.commit()
    fails[0] = False
    for n in range(100):
        s3.append(bucket(f"large{n}", is_versioned=False))
    s3.commit()
    recovered(folder)
    assert find_bucket("first") is not None
    assert find_bucket("large99") is not None


def freed_by(reserve: Path, small_disk: SmallDisk) -> Disk:
    """Return a disk that has the reserve's room once the reserve is released."""

    def write(fd: int, parts: Sequence[memoryview], offset: int) -> int:
        if not small_disk.room_bytes and not reserve.exists():
            small_disk.room_bytes = RESERVE_BYTES
        return small_disk.disk().write(fd, parts, offset)

    return Disk(write, small_disk.disk().sync)


def test_on_a_full_disk_deletions_go_on_and_so_does_a_start(
    folder: StateFolder, small_disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    """Their records get what was reserved."""
    small_disk.room_bytes = RESERVE_BYTES + 2000  # the latter for the first records
    disk = freed_by(folder.path / "s3/reserve", small_disk)
    s3 = S3Persistence.recover(folder, disk, clock=lambda: 0.0)
    s3.append(bucket("b", is_versioned=False))
    for n in range(20):
        s3.append(("object", "b", f"k{n}", False, thing(f"k{n}", None, None)))
    s3.commit()
    small_disk.room_bytes = 0
    for n in range(19):
        s3.append(("gone", "b", f"k{n}", None))
        s3.commit()
    assert "the disk is full" in caplog.text
    with pytest.raises(OSError, match="No space"):
        s3.bodies.draft()
    s3_stores.reset()
    S3Persistence.recover(folder, disk, clock=lambda: 0.0)
    found = find_bucket("b")
    assert found is not None
    assert [one.key for one in found.objects.values()] == ["k19"]


def test_while_nothing_can_be_written_bodies_go_whose_deletion_was(folder: StateFolder) -> None:
    fails = [False]

    def sync(_fd: int) -> None:
        if fails[0]:
            raise OSError("no sync")

    now = [0.0]
    s3 = S3Persistence.recover(folder, Disk(sync=sync), clock=lambda: now[0])
    draft = s3.bodies.draft()
    draft.write(b"body")
    draft.finish()
    s3.discard(draft.name)
    s3.append(bucket("later", is_versioned=False))
    now[0] = GRACE_S
    fails[0] = True
    with pytest.raises(OSError, match="no sync"):
        s3.maintain()
    with pytest.raises(FileNotFoundError):
        s3.bodies.open(draft.name)
