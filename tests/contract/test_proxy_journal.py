"""The journal on a real disk."""

import errno
import os

import pytest

from movierec.errors import UsageError
from proxy.journal import locked
from tests.contract.proxy_journal_harness import (
    RECORD,
    note,
    open_journal,
    sealed,
    sequences,
)


@pytest.fixture
def journal(tmp_path):
    return open_journal(tmp_path)


class TestJournal:
    def test_what_is_written_is_on_disk_before_write_returns(self, journal, tmp_path):
        note(journal, "r1", "r2")
        assert sequences(tmp_path) == [100, 101]
        assert journal.backlog_records == 2

    def test_segments_are_named_by_their_first_number_with_19_digits(self, journal, tmp_path):
        note(journal, "r1", "r2")
        journal.seal()
        names = sorted(path.name for path in tmp_path.iterdir())
        assert names == ["0000000000000000100.jsonl", "0000000000000000102.jsonl"]

    def test_a_restart_goes_on_where_the_journal_ends(self, journal, tmp_path):
        note(journal, "r1", "r2")
        note(open_journal(tmp_path), "r3")
        assert sequences(tmp_path) == [100, 101, 102]

    def test_the_position_outlives_the_records(self, journal, tmp_path):
        note(journal, "r1", "r2")
        for segment in sealed(journal):
            segment.path.unlink()
        note(open_journal(tmp_path), "r3")
        assert sequences(tmp_path) == [102]

    def test_an_unused_folder_begins_at_the_given_number(self, tmp_path):
        note(open_journal(tmp_path, first_sequence=7), "r1")
        assert sequences(tmp_path) == [7]

    @pytest.mark.parametrize("tail", [b"{", b'{"sequence":102,"us', b"\x00" * 100])
    def test_a_torn_tail_is_cut_and_counted(self, journal, tmp_path, tail):
        note(journal, "r1", "r2")
        (path,) = tmp_path.glob("*.jsonl")
        path.write_bytes(path.read_bytes() + tail)
        again = open_journal(tmp_path)
        note(again, "r3")
        assert again.torn_tails == 1
        assert sequences(tmp_path) == [100, 101, 102]

    def test_an_empty_journal_is_not_sealed(self, journal):
        assert sealed(journal) == ()

    def test_sealing_writes_what_is_noted_into_the_segment_that_it_seals(self, journal):
        journal.append(RECORD)
        (segment,) = sealed(journal)
        assert (segment.records, segment.last) == (1, 100)

    def test_a_full_segment_is_followed_by_another(self, tmp_path):
        journal = open_journal(tmp_path, segment_bytes=1)
        for name in ("r1", "r2", "r3"):
            note(journal, name)
        assert [segment.last for segment in journal.sealed] == [100, 101]

    def test_the_backlog_says_how_much_and_since_when(self, journal):
        assert (journal.backlog_records, journal.backlog_bytes, journal.since_us) == (0, 0, None)
        note(journal, "r1")
        note(journal, "r2")
        assert journal.backlog_records == 2
        assert journal.since_us == RECORD.served_at_us
        segments = sealed(journal)
        assert journal.backlog_bytes == segments[0].path.stat().st_size
        journal.forget(segments)
        assert (journal.backlog_records, journal.since_us) == (0, None)

    def test_past_its_limit_it_keeps_the_oldest_and_counts_what_it_drops(self, tmp_path, caplog):
        journal = open_journal(tmp_path, limit_bytes=500)
        note(journal, "r1", "r2")
        note(journal, "r3", "r4")
        note(journal, "r5")
        assert sequences(tmp_path) == [100, 101]
        assert journal.dropped == 3
        dropping = [r for r in caplog.records if r.message == "journal_drops_records"]
        assert len(dropping) == 1
        assert "limit" in dropping[0].__dict__["why"]

    def test_room_again_means_records_again(self, tmp_path):
        journal = open_journal(tmp_path, limit_bytes=500)
        note(journal, "r1", "r2")
        note(journal, "r3")
        journal.forget(sealed(journal))
        note(journal, "r4")
        assert journal.backlog_records == 1

    def test_a_disk_that_takes_half_a_group_keeps_the_whole_lines(
        self, journal, tmp_path, monkeypatch
    ):
        note(journal, "r1")
        write = os.write
        monkeypatch.setattr(os, "write", lambda fd, body: write(fd, body[: len(body) // 2 + 9]))
        note(journal, "r2", "r3")
        monkeypatch.undo()
        note(journal, "r4")
        assert journal.dropped == 1
        assert sequences(tmp_path) == [100, 101, 103]
        assert open_journal(tmp_path).torn_tails == 0

    def test_a_full_disk_drops_and_counts_and_leaves_no_litter(
        self, journal, tmp_path, monkeypatch
    ):
        def full(fd, body):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        for _ in range(5):
            note(journal, "lost")
        monkeypatch.undo()
        note(journal, "r6")
        assert journal.dropped == 5
        assert sequences(tmp_path) == [105]
        assert len(list(tmp_path.iterdir())) == 1

    def test_a_spoilt_last_line_does_not_give_its_number_away_again(self, journal, tmp_path):
        note(journal, "r1", "r2")
        (path,) = tmp_path.glob("*.jsonl")
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0] + b"\x00\x00\n")
        note(open_journal(tmp_path), "r3")
        assert sequences(tmp_path) == [100, 102]

    def test_lines_that_are_none_do_not_hide_the_others(self, journal, tmp_path):
        note(journal, "r1", "r2", "r3")
        (path,) = tmp_path.glob("*.jsonl")
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(lines[0] + b"\x00\x00\n" + lines[2])
        again = open_journal(tmp_path)
        assert [segment.last for segment in again.sealed] == [102]
        assert sequences(tmp_path) == [100, 102]


class TestLock:
    def test_a_second_proxy_on_the_folder_is_refused_by_name(self, tmp_path):
        with (
            locked(tmp_path, owner="the first"),
            pytest.raises(UsageError, match=r"the first.*--proxy-id"),
            locked(tmp_path, owner="the second"),
        ):
            pytest.fail("two proxies hold one folder")

    def test_the_next_proxy_may_start_when_the_first_has_ended(self, tmp_path):
        for owner in ("first", "second"):
            with locked(tmp_path, owner=owner):
                assert (tmp_path / "lock").read_text() == f"{owner}\n"
