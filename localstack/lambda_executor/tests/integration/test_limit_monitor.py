"""What a function holds, looked at from outside: here this very process."""

import os
import subprocess
import sys
from pathlib import Path

from lambda_process_executor.limit_monitor import MIB, Excess, LimitMonitor, used_bytes


def test_the_less_is_left_the_sooner_is_the_next_look(tmp_path: Path) -> None:
    ample, small = LimitMonitor(10_240, 512, tmp_path), LimitMonitor(128, 512, tmp_path)
    assert ample.pause_s == 0.1
    assert small.pause_s == 128 * MIB / 2e9
    child = subprocess.Popen(
        [sys.executable, "-c", "x = bytearray(160_000_000); print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        assert small.check(os.getpid(), 0.0) is Excess.MEMORY
        assert small.pause_s == 0.01
        child.communicate(b"\n")


def test_what_one_process_used_is_told_within_the_limit(tmp_path: Path) -> None:
    limits = LimitMonitor(20, 512, tmp_path)
    limits.record_peak(os.getpid())
    assert limits.used_mb == 20
    limits.reset()
    assert limits.used_mb == 0


def test_a_full_folder_is_an_excess_until_the_next_process(tmp_path: Path) -> None:
    limits = LimitMonitor(10_240, 1, tmp_path)
    (tmp_path / "x").write_bytes(b"x" * 2 * MIB)
    assert limits.check(os.getpid(), 1.0) is Excess.DISK
    limits.reset()
    assert limits.excess is None


def test_a_folder_counts_with_everything_below_it(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "one").write_bytes(b"x" * MIB)
    (tmp_path / "below" / "two").write_bytes(b"x" * MIB)
    assert 2 * MIB <= used_bytes(tmp_path) <= 3 * MIB


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * MIB)
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "link").symlink_to(tmp_path / "large")
    assert used_bytes(tmp_path / "scratch") < MIB


def test_a_folder_that_is_not_there_takes_nothing(tmp_path: Path) -> None:
    assert used_bytes(tmp_path / "gone") == 0
