"""The redo log: one sync, and all files have what they should, whatever becomes of the power."""

import contextlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from tests.harness import wait_until
from tests.power import Power, PowerCutError
from tests.small_disk import SmallDisk

from localstack_keeper.errors import DamagedError
from localstack_keeper.files import Disk
from localstack_keeper.redo import Redo, read
from localstack_keeper.writes import Files, Write

HALF_BYTES = 32 * 1024
NAMES = ("packs/one", "packs/two", "journal")
FORGETTING = 3
"""Operations: a sync of the one file that was written to, and a record."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "packs").mkdir()
    for name in NAMES:
        (tmp_path / name).touch()
    return tmp_path


def log(root: Path, disk: Disk) -> Redo:
    return Redo(root / "redo", Files(root, disk), disk, half_bytes=HALF_BYTES)


def again(root: Path) -> int:
    """Make all writes again that the log has, and return how many there are."""
    writes = read(root / "redo")
    Files(root, Disk()).make(writes)
    return len(writes)


def put(redo: Redo, root: Path, disk: Disk, *writes: Write) -> None:
    """Log writes, and make them, as those do whose files they are."""
    assert redo.write(writes, 0)
    for write in writes:
        fd = os.open(root / write.path, os.O_WRONLY)
        disk.write_all(fd, write.offset, write.data)
        os.close(fd)


def do_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all done by who wants it, as at the end of the process."""

    def refuse(*_args: object) -> None:
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)


def rounds(count: int) -> list[list[Write]]:
    """Return batches of writes to all files, one after the other."""
    return [
        [Write(name, turn * 3000, bytes([turn % 251 + 1]) * 3000) for name in NAMES]
        for turn in range(count)
    ]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("count", [1, 3, 12])
def test_what_the_power_took_is_made_again(root: Path, seed: int, count: int) -> None:
    """In one half, and in many: what is written over is on the disk in its file."""
    power = Power(seed)
    redo = log(root, power.disk())
    for writes in rounds(count):
        put(redo, root, power.disk(), *writes)
    expected = {name: (root / name).read_bytes() for name in NAMES}
    power.cut()
    assert again(root) > 0
    assert {name: (root / name).read_bytes() for name in NAMES} == expected


@pytest.mark.parametrize("at", [0, 5, 18, 30, 9000])
@pytest.mark.parametrize("record", [0, 1])
def test_the_last_record_may_be_torn_and_no_other(root: Path, at: int, record: int) -> None:
    redo = log(root, Disk())
    writes = rounds(2)
    for batch in writes:
        redo.write(batch, 0)
    data = bytearray((root / "redo").read_bytes())
    data[4096 + record * 12_288 + at] ^= 1
    (root / "redo").write_bytes(data)
    if record == 0:
        with pytest.raises(DamagedError, match="lost a record and none of those after it"):
            again(root)
    else:
        assert again(root) == len(NAMES)
        assert (root / "journal").read_bytes() == writes[0][2].data


@pytest.mark.parametrize("count", [1, 4, 6])
def test_a_half_that_has_lost_its_beginning_is_refused(root: Path, count: int) -> None:
    redo = log(root, Disk())
    for batch in rounds(count):  # two to a half
        put(redo, root, Disk(), *batch)
    data = bytearray((root / "redo").read_bytes())
    data[HALF_BYTES if count == 4 else 0] ^= 1
    (root / "redo").write_bytes(data)
    with pytest.raises(DamagedError, match="lost a record and none of those after it"):
        read(root / "redo")


def test_what_is_in_the_log_is_brought_to_its_files_though_no_half_is_full(root: Path) -> None:
    files = Files(root, Disk())
    redo = Redo(root / "redo", files, Disk(), half_bytes=HALF_BYTES)
    journal = root / "journal"

    def is_brought(size_bytes: int) -> bool:
        redo.begin_settling()  # again and again: it leaves what is under way alone
        return _has(journal, size_bytes)

    for number, batch in enumerate(rounds(7), 1):
        assert redo.write(batch, 0)
        for write in batch:
            files.put_off(write)
        wait_until(partial(is_brought, number * 3000), "the record is in its file")
    assert journal.read_bytes() == b"".join(batch[2].data for batch in rounds(7))


def test_bringing_that_has_failed_is_tried_again_though_nothing_is_added(root: Path) -> None:
    is_broken = True

    def sync(_fd: int) -> None:
        if is_broken:
            raise OSError("no sync")

    files = Files(root, Disk(sync=sync))
    redo = Redo(root / "redo", files, Disk(), half_bytes=HALF_BYTES)
    [batch] = rounds(1)
    redo.write(batch, files.failures)
    for write in batch:
        files.put_off(write)

    def is_told() -> bool:
        try:
            redo.begin_settling()
        except OSError:
            return True
        return False

    wait_until(is_told, "a failure in the background is told")
    is_broken = False
    redo.begin_settling()
    assert [(root / write.path).read_bytes() for write in batch] == [write.data for write in batch]


def _has(path: Path, size_bytes: int) -> bool:
    return path.stat().st_size == size_bytes


def test_what_was_forgotten_by_zeros_is_nothing(root: Path) -> None:
    """As former versions did it; records stay behind the zeros."""
    redo = log(root, Disk())
    for batch in rounds(3):
        put(redo, root, Disk(), *batch)
    data = bytearray((root / "redo").read_bytes())
    data[:4096] = data[HALF_BYTES : HALF_BYTES + 4096] = bytes(4096)
    (root / "redo").write_bytes(data)
    assert read(root / "redo") == []


def test_what_a_former_turn_left_in_a_half_is_not_made(root: Path) -> None:
    """Though it is whole, and begins where the newest record ends."""
    redo = log(root, Disk())
    for batch in rounds(5):  # two to a half: the fifth is in the first half, the second behind it
        put(redo, root, Disk(), *batch)
    assert again(root) == 3 * len(NAMES)


def test_a_file_that_is_gone_is_not_made_again(root: Path) -> None:
    redo = log(root, Disk())
    [writes] = rounds(1)
    redo.write(writes, 0)
    (root / "packs/one").unlink()
    again(root)
    assert not (root / "packs/one").exists()
    assert (root / "packs/two").read_bytes() == writes[1].data


def test_what_does_not_fit_is_refused_and_all_else_can_be_forgotten(root: Path) -> None:
    power = Power(0)
    redo = log(root, power.disk())
    [writes] = rounds(1)
    put(redo, root, power.disk(), *writes)
    assert not redo.write([Write("journal", 0, bytes(HALF_BYTES))], 0)
    redo.forget()
    power.cut()
    assert (root / "journal").read_bytes() == writes[2].data
    assert again(root) == 0


def test_what_was_forgotten_is_not_found_behind_what_was_written_since(root: Path) -> None:
    redo = log(root, Disk())
    first, second = rounds(2)
    redo.write(first, 0)
    redo.write(second, 0)
    redo.forget()
    redo.write(first, 0)
    assert again(root) == len(first)


def test_files_that_could_not_be_synced_are_written_again_before_their_record_goes(
    root: Path,
) -> None:
    """The kernel may have dropped the pages, and say next time that nothing is left to do."""
    broken = [True]
    written: list[int] = []

    def name(fd: int) -> str:
        return str(Path(f"/proc/self/fd/{fd}").readlink().relative_to(root))

    def write(fd: int, parts: Sequence[memoryview], offset: int) -> int:
        if name(fd) == "journal":
            written.append(offset)
        return os.pwritev(fd, parts, offset)

    def sync(fd: int) -> None:
        if broken[0] and name(fd) == "journal":
            raise OSError("no sync")

    redo = log(root, Disk(write, sync))
    batches = rounds(6)
    for batch in batches[:4]:  # two halves: the first is being synced, and that fails
        redo.write(batch, 0)
    with pytest.raises(OSError, match="no sync"):
        redo.write(batches[4], 0)
    broken[0] = False
    written.clear()
    redo.write(batches[4], 0)
    assert written[:2] == [0, 3000]


@pytest.mark.parametrize("done", range(FORGETTING + 1))
def test_a_try_that_failed_stays_behind_the_one_that_came_after_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    """It is whole at the end of a half, and the other half, which has its successor, is forgotten.

    After any number of the operations of forgetting.
    """
    do_without_threads(monkeypatch)
    fails = [False]
    power = Power(0)

    def sync(fd: int) -> None:
        if fails[0]:
            raise OSError("no sync")
        power.disk().sync(fd)

    disk = Disk(power.disk().write, sync)
    redo = log(root, disk)
    first = [Write("journal", 0, b"a" * (HALF_BYTES - 12_288))]
    failed = [Write("journal", HALF_BYTES - 12_288, b"failed")]
    second = [Write("journal", HALF_BYTES - 12_288, b"second" * 1500)]
    put(redo, root, disk, *first)
    fails[0] = True
    with pytest.raises(OSError, match="no sync"):
        redo.write(failed, 0)
    fails[0] = False
    put(redo, root, disk, *second)
    power.go_after(done)
    with contextlib.nullcontext() if done == FORGETTING else pytest.raises(PowerCutError):
        redo.forget()
    power.cut()
    again(root)
    assert (root / "journal").read_bytes() == first[0].data + second[0].data


@pytest.mark.parametrize("refused", ["write", "sync"])
def test_what_follows_a_failed_forgetting_may_be_torn(root: Path, refused: str) -> None:
    """Though the half that was to be forgotten had no record: no turn is left without one."""
    broken = {"write": False, "sync": False}

    def write(fd: int, parts: Sequence[memoryview], offset: int) -> int:
        if broken["write"]:
            raise OSError("no write")
        return os.pwritev(fd, parts, offset)

    def sync(_fd: int) -> None:
        if broken["sync"]:
            raise OSError("no sync")

    redo = log(root, Disk(write, sync))
    first, second, torn = rounds(3)
    put(redo, root, Disk(), *first)
    put(redo, root, Disk(), *second)
    redo.begin_settling()
    broken[refused] = True
    with pytest.raises(OSError, match=f"no {refused}"):
        redo.forget()
    broken[refused] = False
    redo.write(torn, 0)
    data = bytearray((root / "redo").read_bytes())
    data[data.rfind(torn[2].data)] ^= 1
    (root / "redo").write_bytes(data)
    assert read(root / "redo") == [*first, *second]


def test_what_a_client_has_written_is_no_record(root: Path) -> None:
    """Though it looks like one, and stands where the next one would."""
    forged = log(root, Disk())
    forged.write([Write("journal", 0, b"forged")], 0)
    (root / "redo").rename(root / "copy")
    record = (root / "copy").read_bytes()[:4096]
    redo = log(root, Disk())
    redo.write([Write("packs/one", 0, record * 6)], 0)
    data = bytearray((root / "redo").read_bytes())
    where = data.find(record[:200], 100)
    data[8192 : 8192 + len(record)] = data[where : where + len(record)]
    (root / "redo").write_bytes(data)
    assert all(write.path != "journal" for write in read(root / "redo"))


def test_without_threads_files_are_synced_all_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    do_without_threads(monkeypatch)
    power = Power(0)
    redo = log(root, power.disk())
    batches = rounds(12)
    for batch in batches:
        put(redo, root, power.disk(), *batch)
    power.cut()
    again(root)
    assert (root / "journal").read_bytes() == b"".join(batch[2].data for batch in batches)


def test_a_log_that_could_not_be_made_is_not_there(root: Path, small_disk: SmallDisk) -> None:
    small_disk.room_bytes = HALF_BYTES
    with pytest.raises(OSError, match="No space"):
        log(root, small_disk.disk())
    assert not (root / "redo").exists()


def test_a_log_that_a_crash_left_half_made_says_nothing(root: Path) -> None:
    (root / "redo").write_bytes(bytes(HALF_BYTES // 2))
    assert again(root) == 0
