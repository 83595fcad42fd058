"""Folders that go when nobody uses them any more."""

from pathlib import Path

import pytest

from lambda_process_executor.unpacked_code import CodeReferences


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "app.py").touch()
    return folder


def test_a_folder_that_nobody_uses_goes_at_once(folder: Path) -> None:
    references = CodeReferences()
    references.acquire([folder])
    references.release([folder])
    assert folder.exists()
    references.remove(folder)
    assert not folder.exists()


def test_a_folder_in_use_goes_with_its_last_user(folder: Path) -> None:
    references = CodeReferences()
    references.acquire([folder])
    references.acquire([folder])
    references.remove(folder)
    references.release([folder])
    assert folder.exists()
    references.release([folder])
    assert not folder.exists()


def test_a_folder_that_is_filled_again_stays(folder: Path) -> None:
    references = CodeReferences()
    references.acquire([folder])
    references.remove(folder)
    references.retain([folder])
    references.release([folder])
    assert folder.exists()


def test_a_folder_that_is_not_there_is_no_trouble(tmp_path: Path) -> None:
    CodeReferences().remove(tmp_path / "never")
