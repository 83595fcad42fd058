"""A folder, and a disk that can be full."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.small_disk import SmallDisk

from localstack_keeper.disk import Disk
from localstack_keeper.state_folder import StateFolder, Writer

WRITER = Writer("4.14.0", "0.1.0")


@pytest.fixture
def small_disk() -> SmallDisk:
    return SmallDisk()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[StateFolder]:
    folder = StateFolder.take(tmp_path / "state", WRITER, Disk())
    yield folder
    folder.release()
