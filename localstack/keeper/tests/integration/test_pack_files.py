"""Packs: many bodies to a file, and no room for what is gone."""

import os
import stat
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.small_disk import SmallDisk

from localstack_keeper.disk import Disk
from localstack_keeper.object_bodies import Extent, PackFiles


def extent(name: str) -> Extent:
    found = Extent.parse(name)
    assert found is not None
    return found


def read(packs: PackFiles, name: str) -> bytes | None:
    try:
        return packs.read(extent(name))
    except FileNotFoundError:
        return None


def room_bytes(tmp_path: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in (tmp_path / "packs").glob("*"))


@pytest.fixture
def packs(tmp_path: Path) -> PackFiles:
    return PackFiles(tmp_path / "packs", Disk(), pack_bytes=200_000)


def test_many_writers_get_a_place_each(packs: PackFiles) -> None:
    found: dict[str, bytes] = {}

    def write(seed: int) -> None:
        for n in range(40):
            data = bytes([seed, n]) * (seed * 500 + n)
            found[packs.add(data)] = data
            packs.sync()

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 320
    assert all(read(packs, name) == data for name, data in found.items())


def test_no_pack_stays_open(packs: PackFiles) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        packs.add(bytes(150_000))
        packs.sync()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_room_of_a_removed_body_comes_back_at_once(packs: PackFiles, tmp_path: Path) -> None:
    names = [packs.add(bytes([n]) * 50_000) for n in range(3)]
    packs.sync()
    before = room_bytes(tmp_path)
    packs.remove(extent(names[1]))
    assert room_bytes(tmp_path) <= before - 48_000
    assert [read(packs, name) is not None for name in names] == [True, False, True]


def test_a_pack_of_which_nothing_is_left_is_deleted(packs: PackFiles, tmp_path: Path) -> None:
    first, second = packs.add(bytes(150_000)), packs.add(bytes(150_000))
    packs.sync()
    packs.remove(extent(first))
    assert [path.name for path in (tmp_path / "packs").iterdir()] == ["00000002"]
    assert read(packs, second) is not None


def test_at_a_start_the_room_of_what_nothing_uses_comes_back(
    tmp_path: Path, packs: PackFiles
) -> None:
    names = [packs.add(bytes([n]) * 50_000) for n in range(3)]
    alone = packs.add(bytes(190_000))
    packs.sync()
    again = PackFiles(tmp_path / "packs", Disk())
    assert again.remove_orphans([names[1]]) == (1, set())
    assert room_bytes(tmp_path) <= 56_000
    assert [read(again, name) is not None for name in [*names, alone]] == [
        False,
        True,
        False,
        False,
    ]
    later = again.add(b"later")
    assert read(again, later) == b"later"
    again.remove(extent(names[1]))
    assert len(list((tmp_path / "packs").iterdir())) == 1


def test_what_is_damaged_or_gone_is_missing(tmp_path: Path, packs: PackFiles) -> None:
    whole, cut = packs.add(b"whole"), packs.add(bytes(5000))
    packs.sync()
    os.truncate(packs.path(1), extent(cut).offset + 5000)  # less than it is, with its head
    again = PackFiles(tmp_path / "packs", Disk())
    elsewhere = "00000007.0.5.00000000"
    assert again.remove_orphans([whole, cut, elsewhere]) == (0, {cut, elsewhere})


def test_a_full_disk_leaves_no_half_of_a_body(tmp_path: Path, small_disk: SmallDisk) -> None:
    small_disk.room_bytes = 50_000
    packs = PackFiles(tmp_path / "packs", small_disk.disk())
    whole = packs.add(b"whole")
    with pytest.raises(OSError, match="No space"):
        packs.add(bytes(60_000))
    assert room_bytes(tmp_path) <= 8192
    small_disk.room_bytes = 40_000  # what was cut off is not seen by it
    later = packs.add(b"later")
    packs.sync()
    assert (read(packs, whole), read(packs, later)) == (b"whole", b"later")


def test_a_pack_of_which_nothing_was_left_before_it_was_full_is_deleted(
    packs: PackFiles, tmp_path: Path
) -> None:
    packs.remove(extent(packs.add(bytes(150_000))))
    packs.add(bytes(150_000))
    assert [path.name for path in (tmp_path / "packs").iterdir()] == ["00000002"]


def test_a_body_has_its_room_before_it_is_written(tmp_path: Path, small_disk: SmallDisk) -> None:
    packs = PackFiles(tmp_path / "packs", small_disk.disk())
    name = packs.add(bytes(100_000))
    small_disk.room_bytes = 0
    packs.sync()
    assert read(PackFiles(tmp_path / "packs", Disk()), name) == bytes(100_000)


def test_a_body_that_is_removed_before_its_sync_is_not_written_again(tmp_path: Path) -> None:
    fails = [True]

    def sync(fd: int) -> None:
        if fails[0] and not stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError("no sync")

    packs = PackFiles(tmp_path / "packs", Disk(sync=sync))
    gone, stays = packs.add(bytes(50_000)), packs.add(b"stays")
    with pytest.raises(OSError, match="no sync"):
        packs.sync()
    assert read(packs, gone) == bytes(50_000)
    packs.remove(extent(gone))
    assert read(packs, gone) is None
    before = room_bytes(tmp_path)
    fails[0] = False
    packs.sync()
    assert room_bytes(tmp_path) == before
    assert (read(packs, gone), read(packs, stays)) == (None, b"stays")


def test_after_a_sync_that_failed_all_is_written_again(tmp_path: Path) -> None:
    """The kernel may have dropped the pages, and say next time that nothing is left to do."""
    fails = [False]
    written: list[bytes] = []

    def write(fd: int, parts: Sequence[memoryview], offset: int) -> int:
        written.append(b"".join(parts))
        return os.pwritev(fd, parts, offset)

    def sync(_fd: int) -> None:
        if fails[0]:
            raise OSError("no sync")

    packs = PackFiles(tmp_path / "packs", Disk(write, sync))
    packs.add(b"body")
    fails[0] = True
    for _ in range(2):
        with pytest.raises(OSError, match="no sync"):
            packs.sync()
    fails[0] = False
    packs.sync()
    assert [data[-4:] for data in written] == [b"body"] * 3
    packs.sync()
    assert len(written) == 3
