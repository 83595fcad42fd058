"""Which code this is, asked of a real git."""

import os
import subprocess

import pytest

from movierec.stack.options import UNKNOWN_CODE, code_version
from movierec.stack.processes import child_environment


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (
        ("init", "-q", str(folder)),
        ("-C", str(folder), *author, "commit", "-q", "--allow-empty", "-m", "first"),
    ):
        subprocess.run(("git", *command), env=child_environment.basic(os.environ), check=True)
    return folder


def test_a_commit_is_named_and_changed_files_are_told(repository):
    clean = code_version(repository)
    (repository / "new").touch()
    assert len(clean) == 12
    assert code_version(repository) == f"{clean}-dirty"


def test_a_git_hooks_environment_does_not_show_another_repository(repository, monkeypatch):
    before = code_version(repository)
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    assert code_version(repository) == before


def test_where_there_is_no_repository_the_code_is_unknown(tmp_path):
    assert code_version(tmp_path) == UNKNOWN_CODE
