"""Which code this is, asked of a real git."""

import os
import subprocess

import pytest

from movierec.stack import git_commit
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
    clean = git_commit.version(repository)
    (repository / "new").touch()
    assert len(clean) == 12
    assert git_commit.version(repository) == f"{clean}-dirty"


def test_a_git_hooks_environment_does_not_show_another_repository(repository, monkeypatch):
    before = git_commit.version(repository)
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    assert git_commit.version(repository) == before


def test_where_there_is_no_repository_the_code_is_unknown(tmp_path):
    assert git_commit.version(tmp_path) == git_commit.UNKNOWN
