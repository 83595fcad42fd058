"""A redo log that a kill of a former version left: applied once, whatever is torn in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from localstack.services.s3.models import s3_stores
from tests.former import unpack

from localstack_keeper import legacy_redo_log
from localstack_keeper.disk import Disk
from localstack_keeper.errors import DamagedError
from localstack_keeper.s3_journal_records import body_of, find_bucket
from localstack_keeper.s3_persistence import S3Persistence
from localstack_keeper.state_folder import StateFolder, Writer

HALF_BYTES = 8 * 1024 * 1024
BLOCK_BYTES = 4096
MARK = b"\xa5rd\x01"
TWO_HALVES, THREE_EPOCHS = "redo-two-halves", "redo-three-epochs"
PUTS = {TWO_HALVES: 20, THREE_EPOCHS: 40}


@pytest.fixture(autouse=True)
def _nothing_there() -> Iterator[None]:
    s3_stores.reset()
    yield
    s3_stores.reset()


def recovered(state: Path) -> dict[str, bytes]:
    """Start on a folder, and return the objects of the one bucket."""
    s3_stores.reset()
    folder = StateFolder.take(state, Writer("4.14.0", "0.2.0"), Disk())
    try:
        s3 = S3Persistence.recover(folder, Disk(), clock=lambda: 0.0)
        bucket = find_bucket("b")
        assert bucket is not None
        found = {}
        for thing in bucket.objects.values():
            with s3.bodies.open(body_of(thing) or "") as file:
                found[thing.key] = file.read()
        s3.close()
    finally:
        folder.release()
    return found


def expected(count: int) -> dict[str, bytes]:
    """Return what was acknowledged: after every seventh put the one two before it was deleted."""
    gone = range(5, count - 1, 7)
    names = [f"k{n:03d}" for n in range(count) if n not in gone]
    return {name: f"{name}\n".encode() * 100_000 for name in names}


def marks(log: bytes | bytearray, start: int) -> list[int]:
    """Return the places of all records in a half."""
    places = range(start, start + HALF_BYTES, BLOCK_BYTES)
    return [place for place in places if log.startswith(MARK, place)]


@pytest.mark.parametrize("name", [TWO_HALVES, THREE_EPOCHS])
def test_what_was_acknowledged_is_there_and_the_log_is_gone(name: str, tmp_path: Path) -> None:
    state = unpack(name, tmp_path)
    assert recovered(state) == expected(PUTS[name])
    assert not (state / "s3/redo").exists()
    assert recovered(state) == expected(PUTS[name])


def test_a_crash_after_it_was_applied_does_no_harm(tmp_path: Path) -> None:
    state = unpack(THREE_EPOCHS, tmp_path)
    redo = (state / "s3/redo").read_bytes()
    legacy_redo_log.apply(state / "s3")
    (state / "s3/redo").write_bytes(redo)
    assert recovered(state) == expected(PUTS[THREE_EPOCHS])


@pytest.mark.parametrize("at", [5, 18, 30, 40])
def test_the_last_record_may_be_torn(at: int, tmp_path: Path) -> None:
    """It was not acknowledged then: here, the put that came last."""
    state = unpack(TWO_HALVES, tmp_path)
    redo = bytearray((state / "s3/redo").read_bytes())
    redo[marks(redo, HALF_BYTES)[-1] + at] ^= 1
    (state / "s3/redo").write_bytes(redo)
    assert recovered(state) == {key: data for key, data in expected(20).items() if key != "k019"}


@pytest.mark.parametrize("record", [0, 1])
def test_a_lost_record_that_others_follow_is_refused(record: int, tmp_path: Path) -> None:
    state = unpack(TWO_HALVES, tmp_path)
    redo = bytearray((state / "s3/redo").read_bytes())
    redo[marks(redo, HALF_BYTES)[record] + 40] ^= 1
    (state / "s3/redo").write_bytes(redo)
    with pytest.raises(DamagedError, match="lost a record and none of those after it"):
        recovered(state)
    assert (state / "s3/redo").exists()


def test_what_a_client_has_written_is_no_record(tmp_path: Path) -> None:
    """Though it is whole, is of a later epoch, and stands where the next record would."""
    state = unpack(TWO_HALVES, tmp_path / "ours")
    other = (unpack(THREE_EPOCHS, tmp_path / "other") / "s3/redo").read_bytes()
    redo = bytearray((state / "s3/redo").read_bytes())
    end = max(place for place in range(0, len(redo), BLOCK_BYTES) if redo[place])
    [forged, *_] = marks(other, 0)
    redo[end + BLOCK_BYTES : end + BLOCK_BYTES + 600_000] = other[forged : forged + 600_000]
    (state / "s3/redo").write_bytes(redo)
    assert recovered(state) == expected(20)


def test_a_file_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    state = unpack(TWO_HALVES, tmp_path)
    (state / "s3/packs/00000001").unlink()
    legacy_redo_log.apply(state / "s3")
    assert not (state / "s3/packs/00000001").exists()
    assert (state / "s3/journal-00000001.log").stat().st_size > 0


def test_a_log_that_a_crash_left_half_made_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "redo").write_bytes(bytes(HALF_BYTES // 2))
    legacy_redo_log.apply(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_the_emulator_had_acknowledged_is_in_its_models(tmp_path: Path) -> None:
    state = unpack("killed", tmp_path)
    folder = StateFolder.take(state, Writer("4.14.0", "0.2.0"), Disk())
    try:
        S3Persistence.recover(folder, Disk(), clock=lambda: 0.0)
    finally:
        folder.release()
    plain, versioned = find_bucket("plain"), find_bucket("versioned")
    assert plain is not None
    assert versioned is not None
    keys = sorted(thing.key for thing in plain.objects.values())
    assert keys == ["large", "replaced", "settled", "unsettled"]
    assert len(versioned.objects.values(with_versions=True)) == 2
    [upload] = plain.multiparts.values()
    assert sorted(upload.parts) == ["1", "2"]
