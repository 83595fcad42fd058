"""The journal: no record lost that was committed, none there without all before it."""

import threading
from pathlib import Path

import pytest
from tests.small_disk import SmallDisk

from localstack_keeper.disk import Disk
from localstack_keeper.errors import DamagedError
from localstack_keeper.journal import Journal, recover, write_checkpoint
from localstack_keeper.state_folder import StateFolder


@pytest.fixture
def root(folder: StateFolder) -> Path:
    root = folder.path / "s3"
    root.mkdir()
    return root


def write(root: Path, number: int, *payloads: bytes) -> None:
    """Write a segment, each payload by a commit of its own."""
    journal = Journal(root, number, Disk())
    for payload in payloads:
        journal.commit(journal.append(payload))
    journal.commit()


def test_nothing_is_a_history_too(root: Path, folder: StateFolder) -> None:
    history = recover(root, folder, Disk())
    assert (history.payloads, history.next_segment) == ([], 1)


def test_committed_records_come_back_in_order_over_all_segments(
    root: Path, folder: StateFolder
) -> None:
    journal = Journal(root, 1, Disk())
    journal.append(b"a")
    journal.append(b"b")
    assert journal.rotate() == 2
    journal.append(b"c")
    journal.commit()
    journal.append(b"never committed")
    history = recover(root, folder, Disk())
    assert (history.payloads, history.next_segment) == ([b"a", b"b", b"c"], 3)


def test_a_commit_waits_for_its_own_record_and_takes_all_others_along(
    root: Path, folder: StateFolder
) -> None:
    journal = Journal(root, 1, Disk())
    numbers = [journal.append(b"%d" % n) for n in range(3)]
    journal.commit(numbers[0])
    assert journal.durable == numbers[-1]
    journal.commit(numbers[1])
    assert len(recover(root, folder, Disk()).payloads) == 3


def test_many_committers_share_a_write(
    root: Path, folder: StateFolder, small_disk: SmallDisk
) -> None:
    journal = Journal(root, 1, small_disk.disk())
    before = small_disk.syncs
    ready = threading.Barrier(8)

    def one(n: int) -> None:
        ready.wait()
        for turn in range(20):
            journal.commit(journal.append(b"%d %d" % (n, turn)))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    payloads = recover(root, folder, Disk()).payloads
    assert len(payloads) == 160
    for n in range(8):
        assert [p for p in payloads if p.startswith(b"%d " % n)] == [
            b"%d %d" % (n, turn) for turn in range(20)
        ]
    assert small_disk.syncs - before <= 160


def test_what_is_committed_at_once_is_there_or_not_at_all(root: Path, folder: StateFolder) -> None:
    write(root, 1, b"before")
    path = root / "journal-00000001.log"
    whole_bytes = path.stat().st_size
    journal = Journal(root, 2, Disk())
    for payload in (b"one", b"two", b"three"):
        journal.append(payload)
    journal.commit()
    path.write_bytes(path.read_bytes() + (root / "journal-00000002.log").read_bytes())
    (root / "journal-00000002.log").unlink()
    data = bytearray(path.read_bytes())
    data[whole_bytes + 20] ^= 1  # a page of it that did not reach the disk
    path.write_bytes(data)
    assert recover(root, folder, Disk()).payloads == [b"before"]


@pytest.mark.parametrize("lost_bytes", [1, 5, 8, 15])
def test_a_torn_tail_is_cut_counted_and_kept_aside(
    root: Path, folder: StateFolder, lost_bytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    write(root, 1, b"kept", b"torn in the middle")
    path = root / "journal-00000001.log"
    path.write_bytes(path.read_bytes()[:-lost_bytes])
    history = recover(root, folder, Disk())
    assert history.payloads == [b"kept"]
    [aside] = (folder.path / "set-aside").iterdir()
    torn_bytes = 16 + len(b"torn in the middle") - lost_bytes
    assert aside.stat().st_size == torn_bytes
    assert f"{torn_bytes} bytes of a write that was not finished" in caplog.text
    write(root, history.next_segment, b"later")
    assert recover(root, folder, Disk()).payloads == [b"kept", b"later"]


@pytest.mark.parametrize("at", [0, 4, 8, 12, 16])
def test_damage_in_the_middle_is_refused_and_said_what_to_do(
    root: Path, folder: StateFolder, at: int
) -> None:
    """Wherever it is: in the mark, the length, the checksum or the payload."""
    write(root, 1, b"one", b"two", b"three")
    path = root / "journal-00000001.log"
    data = bytearray(path.read_bytes())
    data[19 + at] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedError, match=r"damaged at byte 19 of .*restore it from a copy"):
        recover(root, folder, Disk())
    assert path.read_bytes() == data


def test_a_missing_segment_is_refused(root: Path, folder: StateFolder) -> None:
    for number in (1, 2, 3):
        write(root, number, b"%d" % number)
    (root / "journal-00000002.log").unlink()
    with pytest.raises(DamagedError, match=r"journal-00000002\.log is missing"):
        recover(root, folder, Disk())


def test_a_full_disk_loses_no_record_and_no_order(
    root: Path, folder: StateFolder, small_disk: SmallDisk
) -> None:
    journal = Journal(root, 1, small_disk.disk())
    journal.commit(journal.append(b"before"))
    small_disk.room_bytes = 12
    journal.append(b"refused at first")
    with pytest.raises(OSError, match="No space"):
        journal.commit()
    journal.append(b"later")
    with pytest.raises(OSError, match="No space"):
        journal.commit()
    assert recover(root, folder, Disk()).payloads == [b"before"]
    small_disk.room_bytes = 1000
    journal.commit()
    assert recover(root, folder, Disk()).payloads == [b"before", b"refused at first", b"later"]


def test_a_checkpoint_stands_for_what_came_before(root: Path, folder: StateFolder) -> None:
    write(root, 1, b"long", b"story")
    write(root, 2, b"new")
    write_checkpoint(root, 2, [b"short"], Disk())
    assert recover(root, folder, Disk()).payloads == [b"short", b"new"]


def test_two_checkpoints_are_kept_with_all_that_the_older_needs(
    root: Path, folder: StateFolder
) -> None:
    for number in (1, 2, 3, 4):
        write(root, number, b"%d" % number)
        write_checkpoint(root, number + 1, [b"all to %d" % number], Disk())
    assert sorted(path.name for path in root.iterdir()) == [
        "checkpoint-00000004", "checkpoint-00000005", "journal-00000004.log",
    ]  # fmt: skip
    history = recover(root, folder, Disk())
    assert (history.payloads, history.next_segment) == ([b"all to 4"], 5)


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_used(
    root: Path, folder: StateFolder
) -> None:
    for number in (1, 2):
        write(root, number, b"%d" % number)
        write_checkpoint(root, number + 1, [b"all to %d" % number], Disk())
    path = root / "checkpoint-00000003"
    path.write_bytes(path.read_bytes()[:-3])
    assert recover(root, folder, Disk()).payloads == [b"all to 1", b"2"]
    assert [aside.name for aside in (folder.path / "set-aside").iterdir()] == [
        "checkpoint-00000003.1"
    ]


def test_a_full_disk_leaves_the_checkpoint_before(
    root: Path, folder: StateFolder, small_disk: SmallDisk
) -> None:
    write(root, 1, b"one")
    small_disk.room_bytes = 5
    with pytest.raises(OSError, match="No space"):
        write_checkpoint(root, 2, [b"short"], small_disk.disk())
    assert recover(root, folder, Disk()).payloads == [b"one"]
    assert not list(root.glob("*.part"))


def test_without_any_checkpoint_that_loads_nothing_is_changed_and_nobody_starts_empty(
    root: Path, folder: StateFolder
) -> None:
    write(root, 1, b"one")
    write_checkpoint(root, 2, [b"short"], Disk())
    (root / "journal-00000001.log").unlink()
    path = root / "checkpoint-00000002"
    path.write_bytes(path.read_bytes()[:-3])
    for _ in range(2):
        with pytest.raises(
            DamagedError, match="no checkpoint loads, and the journal begins at none"
        ):
            recover(root, folder, Disk())
    assert path.exists()


def test_a_tail_is_cut_for_good_before_anything_follows_it(
    root: Path, folder: StateFolder, small_disk: SmallDisk
) -> None:
    """A cut that a power cut takes back would be damage in the middle."""
    write(root, 1, b"kept", b"torn")
    path = root / "journal-00000001.log"
    path.write_bytes(path.read_bytes()[:-1])
    recover(root, folder, small_disk.disk())
    assert small_disk.syncs == 1


def test_a_tail_is_cut_even_if_it_cannot_be_kept(root: Path, folder: StateFolder) -> None:
    write(root, 1, b"kept", b"torn")
    path = root / "journal-00000001.log"
    path.write_bytes(path.read_bytes()[:-1])
    (folder.path / "set-aside").write_bytes(b"in the way, as a full disk would be")
    assert recover(root, folder, Disk()).payloads == [b"kept"]


def test_zeros_behind_the_end_are_no_torn_write(
    root: Path, folder: StateFolder, caplog: pytest.LogCaptureFixture
) -> None:
    """A power cut may leave a file as long as it was to be, and nothing in it."""
    write(root, 1, b"0", b"1")
    path = root / "journal-00000001.log"
    path.write_bytes(path.read_bytes() + bytes(5000))
    history = recover(root, folder, Disk())
    assert (history.payloads, caplog.text) == ([b"0", b"1"], "")
    assert path.stat().st_size == history.journal_bytes
    assert not (folder.path / "set-aside").exists()


def test_a_segment_that_could_not_be_made_can_be_made_later(
    root: Path, folder: StateFolder
) -> None:
    fails = [False]

    def sync(_fd: int) -> None:
        if fails[0]:
            raise OSError("no sync")

    journal = Journal(root, 1, Disk(sync=sync))
    fails[0] = True
    with pytest.raises(OSError, match="no sync"):
        journal.rotate()
    fails[0] = False
    assert journal.rotate() == 2
    journal.commit(journal.append(b"in the second"))
    assert recover(root, folder, Disk()).payloads == [b"in the second"]
