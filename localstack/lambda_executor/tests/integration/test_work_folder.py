"""What a killed emulator has left on disk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lambda_process_executor.work_folder import lock, remove_stale

HOLDER = """
import sys, pathlib
from lambda_process_executor.work_folder import lock
lock(pathlib.Path(sys.argv[1]))
print(flush=True)
input()
"""

RACE = """
import threading
from concurrent.futures import ThreadPoolExecutor
from lambda_process_executor.work_folder import own_folder
start = threading.Barrier(8)
with ThreadPoolExecutor(8) as pool:
    print(*pool.map(lambda _: start.wait() < 8 and own_folder(), range(8)))
"""


def test_what_a_killed_emulator_left_is_removed_and_a_living_ones_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "4711"
    (folder / "environments/id").mkdir(parents=True)
    source = str(Path(__file__).parents[2] / "src")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        env={"PYTHONPATH": source},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as emulator:
        assert emulator.stdout is not None
        emulator.stdout.readline()
        remove_stale(tmp_path)
        assert (folder / "environments/id").exists()
        emulator.kill()
    remove_stale(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_locked_once(tmp_path: Path) -> None:
    descriptor = lock(tmp_path)
    with pytest.raises(BlockingIOError):
        lock(tmp_path)
    os.close(descriptor)
    os.close(lock(tmp_path))


def test_threads_that_come_first_get_one_folder(tmp_path: Path) -> None:
    """LocalStack prepares several versions at once."""
    source = str(Path(__file__).parents[2] / "src")
    env = {"PYTHONPATH": source, "TMPDIR": str(tmp_path)}
    folders = subprocess.check_output([sys.executable, "-c", RACE], env=env).split()
    assert len(folders) == 8
    assert len(set(folders)) == 1
