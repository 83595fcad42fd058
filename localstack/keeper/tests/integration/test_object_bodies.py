"""Bodies: deleted when nothing needs them, and not before."""

from pathlib import Path

import pytest
from tests.small_disk import SmallDisk

from localstack_keeper.disk import Disk, Reserve
from localstack_keeper.object_bodies import GRACE_S, PACKED_BYTES, Bodies


class Clock:
    """Time that a test lets pass."""

    now_s = 0.0

    def __call__(self) -> float:
        """Return it."""
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reserve(tmp_path: Path) -> Reserve:
    reserve = Reserve(tmp_path / "reserve", 1000, Disk())
    reserve.acquire()
    return reserve


@pytest.fixture
def bodies(tmp_path: Path, clock: Clock, reserve: Reserve) -> Bodies:
    return Bodies(tmp_path / "bodies", Disk(), reserve=reserve, clock=clock)


def write(bodies: Bodies, data: bytes) -> str:
    draft = bodies.draft()
    draft.write(data)
    draft.finish()
    return draft.name


SMALL, LARGE = b"body", bytes(PACKED_BYTES) + b"end"


def is_there(bodies: Bodies, name: str) -> bool:
    try:
        bodies.open(name).close()
    except FileNotFoundError:
        return False
    return True


@pytest.mark.parametrize("data", [b"", SMALL, LARGE[:-3], LARGE])
def test_what_was_written_is_read(bodies: Bodies, data: bytes) -> None:
    with bodies.open(write(bodies, data)) as file:
        assert file.read() == data
        file.seek(2)
        assert file.read(10) == data[2:12]


@pytest.mark.parametrize("data", [SMALL, LARGE])
def test_a_dropped_draft_leaves_nothing(bodies: Bodies, data: bytes) -> None:
    draft = bodies.draft()
    draft.write(data)
    draft.drop()
    assert bodies.is_empty()


def test_a_body_that_could_not_be_synced_takes_no_room(tmp_path: Path, clock: Clock) -> None:
    """Some disks say that they are full only then."""
    fails = [False]

    def sync(_fd: int) -> None:
        if fails[0]:
            raise OSError("no sync")

    reserve = Reserve(tmp_path / "reserve", 1000, Disk())
    reserve.acquire()
    bodies = Bodies(tmp_path / "bodies", Disk(sync=sync), reserve=reserve, clock=clock)
    draft = bodies.draft()
    draft.write(LARGE)
    fails[0] = True
    with pytest.raises(OSError, match="no sync"):
        draft.finish()
    assert bodies.is_empty()


@pytest.mark.parametrize("data", [SMALL, LARGE])
def test_a_marked_body_stays_until_its_record_is_durable_and_readers_had_time(
    bodies: Bodies, clock: Clock, data: bytes
) -> None:
    name = write(bodies, data)
    bodies.mark_for_deletion(name, 7)
    clock.now_s = GRACE_S * 2
    assert bodies.collect_garbage(6) == 0
    clock.now_s = GRACE_S / 2
    assert bodies.collect_garbage(7) == 0
    clock.now_s = GRACE_S
    assert is_there(bodies, name)
    assert bodies.collect_garbage(7) == 1
    assert not is_there(bodies, name)


@pytest.mark.parametrize("data", [SMALL, LARGE])
def test_at_a_start_unused_bodies_go_and_missing_ones_are_named(
    bodies: Bodies, tmp_path: Path, clock: Clock, data: bytes
) -> None:
    used, unused = write(bodies, data), write(bodies, data)
    bodies.packs.sync()
    reserve = Reserve(tmp_path / "reserve", 1000, Disk())
    again = Bodies(tmp_path / "bodies", Disk(), reserve=reserve, clock=clock)
    lost = "00000009.0.5.12345678"
    assert again.remove_orphans([used, "gone", lost])[1] == {"gone", lost}
    assert is_there(again, used)
    assert not is_there(again, unused)


def test_without_a_reserve_nothing_new_is_written(reserve: Reserve, bodies: Bodies) -> None:
    """The rest of the disk is for records of deletions."""
    reserve.release()
    with pytest.raises(OSError, match="No space"):
        bodies.draft()


def test_a_reserve_is_whole_or_not_there(tmp_path: Path, small_disk: SmallDisk) -> None:
    reserve = Reserve(tmp_path / "room", 1000, small_disk.disk())
    small_disk.room_bytes = 999
    reserve.acquire()
    assert (reserve.is_held, list(tmp_path.iterdir())) == (False, [])
    small_disk.room_bytes = 1000
    reserve.acquire()
    assert reserve.release()
    assert not reserve.release()
