"""Whose folder it is."""

from dataclasses import replace
from pathlib import Path

import pytest

from localstack_keeper.disk import Disk
from localstack_keeper.errors import RefusedError
from localstack_keeper.state_folder import StateFolder, Writer

WRITER = Writer("4.14.0", "0.1.0")


def test_the_second_on_a_folder_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    first = StateFolder.take(tmp_path, WRITER, Disk())
    with pytest.raises(RefusedError, match=r"another emulator .* stop it, or set KEEPER_FOLDER"):
        StateFolder.take(tmp_path, WRITER, Disk())
    first.release()
    StateFolder.take(tmp_path, WRITER, Disk()).release()


@pytest.mark.parametrize(
    "other",
    [
        replace(WRITER, localstack="4.15.0"),
        replace(WRITER, format=2),
        replace(WRITER, python="3.14"),
    ],
)
def test_what_another_version_wrote_is_refused_and_said_what_to_do(
    tmp_path: Path, other: Writer
) -> None:
    StateFolder.take(tmp_path, other, Disk()).release()
    with pytest.raises(RefusedError, match="start the version that wrote it"):
        StateFolder.take(tmp_path, WRITER, Disk())


def test_another_keeper_with_the_same_format_is_welcome(tmp_path: Path) -> None:
    StateFolder.take(tmp_path, replace(WRITER, keeper="0.0.9"), Disk()).release()
    StateFolder.take(tmp_path, WRITER, Disk()).release()


def test_a_folder_that_does_not_say_who_wrote_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keeper.json").write_text("{")
    with pytest.raises(RefusedError, match="no telling which version"):
        StateFolder.take(tmp_path, WRITER, Disk())


def test_nobody_else_may_look_into_it(tmp_path: Path) -> None:
    """Who can write there has the emulator run what he likes: state is unpickled."""
    StateFolder.take(tmp_path / "a/b", WRITER, Disk()).release()
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o700
