"""From a journal on a real disk to a lake in memory."""

import asyncio
import errno
import os

import pytest

from movierec.errors import ConflictError, LakeError, UnavailableError
from movierec.testing.memory import MemoryLake
from proxy.group_commit import GroupCommit
from proxy.lake_writer import LakeWriter
from proxy.lake_writer_task import LakeWriterTask
from proxy.prometheus_metrics import Metrics
from tests.contract.proxy_journal_harness import (
    RECORD,
    note,
    open_journal,
    sealed,
    sequences,
    shipped,
    writer_of,
)


@pytest.fixture
def journal(tmp_path):
    return open_journal(tmp_path)


class TestLakeWriter:
    def test_records_reach_the_lake_and_their_files_go(self, journal, tmp_path):
        lake = MemoryLake()
        note(journal, "r1", "r2")
        result = writer_of(lake).ship(sealed(journal))
        assert shipped(lake) == ["r1", "r2"]
        assert (result.records, result.unreadable) == (2, 0)
        assert sequences(tmp_path) == []
        assert lake.transaction("served", "proxy-1") == 101

    def test_several_segments_share_a_commit_up_to_a_batch(self, tmp_path):
        lake = MemoryLake()
        journal = open_journal(tmp_path, segment_bytes=1)
        for i in range(5):
            note(journal, f"r{i}")
        writer = writer_of(lake, batch_records=2)
        while segments := sealed(journal):
            journal.forget(writer.ship(segments).segments)
        assert shipped(lake) == [f"r{i}" for i in range(5)]
        assert lake.version("served") == 2

    def test_records_are_synced_before_the_lake_has_them(self, journal, tmp_path, monkeypatch):
        """Else a power cut could take numbers back that the lake knows already."""
        synced = set()
        fsync = os.fsync

        def noted(descriptor):
            synced.add(os.fstat(descriptor).st_ino)
            fsync(descriptor)

        class WatchingLake(MemoryLake):
            def append(self, table, batches, *, transactions):
                assert {path.stat().st_ino for path in (segment.path, tmp_path)} <= synced
                return super().append(table, batches, transactions=transactions)

        monkeypatch.setattr(os, "fsync", noted)
        lake = WatchingLake()
        note(journal, "r1")
        (segment,) = sealed(journal)
        writer_of(lake).ship([segment])
        assert shipped(lake) == ["r1"]

    def test_a_lake_that_is_down_costs_nothing(self, journal):
        lake = MemoryLake(fail_appends=2)
        writer = writer_of(lake)
        note(journal, "r1")
        for _ in range(2):
            with pytest.raises(UnavailableError):
                writer.ship(sealed(journal))
        writer.ship(sealed(journal))
        assert shipped(lake) == ["r1"]

    def test_a_commit_whose_answer_was_lost_is_not_repeated(self, journal, tmp_path):
        lake = MemoryLake(lose_answers=1)
        writer = writer_of(lake)
        note(journal, "r1")
        segments = sealed(journal)
        with pytest.raises(UnavailableError):
            writer.ship(segments)
        assert writer.ship(segments).records == 0
        assert shipped(lake) == ["r1"]
        assert sequences(tmp_path) == []

    def test_a_crash_before_the_files_are_removed_does_not_repeat_them(self, journal, tmp_path):
        lake = MemoryLake()
        note(journal, "r1", "r2")

        def killed(path):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            writer_of(lake, remove=killed).ship(sealed(journal))
        again = open_journal(tmp_path)
        note(again, "r3")
        writer_of(lake.rival()).ship(sealed(again))
        assert shipped(lake) == ["r1", "r2", "r3"]

    def test_a_lost_folder_does_not_hide_new_records_behind_old_numbers(self, tmp_path):
        lake = MemoryLake()
        for folder, first in (("lost", 1_000), ("new", 2_000)):
            journal = open_journal(tmp_path / folder, first_sequence=first)
            note(journal, f"{folder} record")
            writer_of(lake.rival()).ship(sealed(journal))
        assert shipped(lake) == ["lost record", "new record"]

    def test_a_stale_proxy_stops_and_says_what_to_do(self, tmp_path):
        lake = MemoryLake()
        ours, theirs = (
            open_journal(tmp_path / n, first_sequence=s) for n, s in (("a", 1), ("b", 50))
        )
        writer, rival = writer_of(lake), writer_of(lake.rival())
        note(ours, "a1")
        ours.forget(writer.ship(sealed(ours)).segments)
        note(theirs, "b1")
        rival.ship(sealed(theirs))
        note(ours, "a2")
        with pytest.raises(LakeError):  # the conflict; the next look tells whose commit it was
            writer.ship(sealed(ours))
        with pytest.raises(ConflictError, match=r"another proxy.*--proxy-id"):
            writer.ship(sealed(ours))
        assert shipped(lake) == ["a1", "b1"]

    def test_a_rival_with_numbers_like_ours_is_told_apart_all_the_same(self, tmp_path):
        lake = MemoryLake()
        ours, theirs = (open_journal(tmp_path / name) for name in ("a", "b"))
        writer = writer_of(lake)
        note(ours, "a1")
        ours.forget(writer.ship(sealed(ours)).segments)
        note(theirs, "b1", "b2")
        writer_of(lake.rival()).ship(sealed(theirs))
        note(ours, "a2", "a3")
        with pytest.raises(LakeError):
            writer.ship(sealed(ours))
        with pytest.raises(ConflictError):
            writer.ship(sealed(ours))
        assert shipped(lake) == ["a1", "b2"]

    def test_a_proxy_that_was_overtaken_while_it_was_down_ships_nothing(self, tmp_path):
        lake = MemoryLake()
        ours, theirs = (
            open_journal(tmp_path / n, first_sequence=s) for n, s in (("a", 1), ("b", 50))
        )
        note(ours, "a1")
        note(theirs, "b1")
        writer_of(lake).ship(sealed(theirs))
        with pytest.raises(ConflictError):
            writer_of(lake.rival()).ship(sealed(ours))
        assert ours.backlog_records == 1
        assert shipped(lake) == ["b1"]

    def test_unreadable_lines_are_kept_aside_and_counted(self, journal, tmp_path):
        lake = MemoryLake()
        note(journal, "r1", "r2")
        (segment,) = sealed(journal)
        lines = segment.path.read_bytes().splitlines(keepends=True)
        segment.path.write_bytes(b"rubbish\n" + lines[1])
        result = writer_of(lake).ship([segment])
        assert (result.records, result.unreadable) == (1, 1)
        assert shipped(lake) == ["r2"]
        (kept,) = tmp_path.glob("*.unreadable")
        assert kept.read_bytes().startswith(b"rubbish")

    def test_a_file_that_somebody_removed_holds_nothing_up(self, tmp_path, caplog):
        lake = MemoryLake()
        journal = open_journal(tmp_path, segment_bytes=1)
        note(journal, "r1")
        note(journal, "r2")
        sealed(journal)[0].path.unlink()
        writer = writer_of(lake)
        while segments := journal.sealed:
            journal.forget(writer.ship(segments).segments)
        assert shipped(lake) == ["r2"]
        assert [record.message for record in caplog.records] == ["journal_files_gone"]

    def test_a_file_that_cannot_be_removed_is_shipped_once_all_the_same(self, journal):
        lake = MemoryLake()
        note(journal, "r1")
        segments = sealed(journal)

        def refused(path):
            raise PermissionError(errno.EACCES, "Permission denied")

        journal.forget(writer_of(lake, remove=refused).ship(segments).segments)
        assert segments[0].path.exists()
        assert writer_of(lake.rival()).ship(segments).records == 0
        assert shipped(lake) == ["r1"]


class TestGroupCommit:
    def test_a_record_is_on_disk_when_record_returns_and_a_turn_s_records_share_a_write(
        self, journal, tmp_path, monkeypatch
    ):
        writes = []
        write = os.write

        def counted(fd, body):
            writes.append(body)
            return write(fd, body)

        monkeypatch.setattr(os, "write", counted)

        async def story():
            group_commit = GroupCommit(journal)

            async def one():
                await group_commit.record(RECORD)
                return sequences(tmp_path)

            return await asyncio.gather(one(), one(), one())

        assert asyncio.run(story()) == [[100, 101, 102]] * 3
        assert len([body for body in writes if b"sequence" in body]) == 1

    def test_a_full_batch_is_due_before_its_time(self, journal):
        async def story():
            group_commit = GroupCommit(journal, ship_at_records=2)
            await group_commit.record(RECORD)
            early = group_commit.due.is_set()
            await group_commit.record(RECORD)
            return early, group_commit.due.is_set()

        assert asyncio.run(story()) == (False, True)


class TestLakeWriterTask:
    def test_the_last_shipment_takes_what_is_sealed_and_what_is_active(self, tmp_path):
        lake = MemoryLake()
        journal = open_journal(tmp_path, segment_bytes=1)
        for name in ("r1", "r2", "r3"):
            note(journal, name)
        assert len(journal.sealed) == 2

        async def story():
            task = LakeWriterTask(
                journal,
                writer_of(lake, batch_records=1),
                group_commit=GroupCommit(journal),
                metrics=Metrics(),
                flush_s=3600,
            )
            task.start()
            await task.stop(within_s=30)

        asyncio.run(story())
        assert shipped(lake) == ["r1", "r2", "r3"]
        assert journal.backlog_records == 0

    def test_a_fault_of_ours_is_logged_and_the_next_attempt_ships(self, journal, caplog):
        lake = MemoryLake()
        faults = [ZeroDivisionError()]

        def open_lake():
            if faults:
                raise faults.pop()
            return lake

        async def story():
            task = LakeWriterTask(
                journal,
                LakeWriter(open_lake, proxy_id="1"),
                group_commit=GroupCommit(journal),
                metrics=Metrics(),
                flush_s=0.001,
            )
            task.start()
            async with asyncio.timeout(20):
                while journal.backlog_records:  # noqa: ASYNC110  a thread ships
                    await asyncio.sleep(0.001)
            await task.stop(within_s=30)

        note(journal, "r1")
        asyncio.run(story())
        assert shipped(lake) == ["r1"]
        assert "shipping_crashed" in [record.message for record in caplog.records]
