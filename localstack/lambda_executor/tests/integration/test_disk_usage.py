"""What a folder holds, on a real file system."""

from pathlib import Path

from lambda_process_executor.disk_usage import used_bytes

MIB = 1024 * 1024


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
