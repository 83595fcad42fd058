"""Generations: one is whole or is not there."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.small_disk import SmallDisk

from localstack_keeper.disk import Disk
from localstack_keeper.errors import DamagedError
from localstack_keeper.generations import Generations, copy_assets
from localstack_keeper.state_folder import StateFolder, Writer

WRITER = Writer("4.14.0", "0.1.0")


@pytest.fixture
def generations(folder: StateFolder) -> Generations:
    return Generations(folder, WRITER, Disk())


def publish(generations: Generations, text: bytes) -> int:
    draft = generations.draft()
    draft.add_bytes("sqs", 0, "store", text)
    with TemporaryDirectory() as assets:
        Path(assets, "deep").mkdir()
        Path(assets, "deep/file").write_bytes(text)
        draft.add_folder("cloudwatch", 1, "assets", Path(assets))
    return generations.publish(draft, ("sqs", "cloudwatch")).number


def test_the_newest_is_read_first_and_two_are_kept(generations: Generations) -> None:
    for text in (b"one", b"two", b"three"):
        publish(generations, text)
    found = [(number, manifest.services) for number, manifest in generations.newest()]
    assert found == [(3, ("sqs", "cloudwatch")), (2, ("sqs", "cloudwatch"))]
    assert (generations.path(3) / "sqs.0.store").read_bytes() == b"three"


def test_a_draft_that_a_crash_left_behind_is_no_generation(generations: Generations) -> None:
    publish(generations, b"whole")
    generations.draft().add_bytes("sqs", 0, "store", b"half")
    assert generations.numbers() == [1]
    publish(generations, b"next")
    assert (generations.path(2) / "sqs.0.store").read_bytes() == b"next"


def damage(path: Path, how: str) -> None:
    """Damage a file, and no other that has the same content as one file with it."""
    data = path.read_bytes()
    path.unlink()
    if how != "gone":
        path.write_bytes(data[:-2] if how == "cut" else bytes([data[0] ^ 1]) + data[1:])


@pytest.mark.parametrize("how", ["cut", "flipped", "gone"])
def test_without_its_manifest_a_generation_is_set_aside_and_the_one_before_used(
    generations: Generations, folder: StateFolder, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    publish(generations, b"old")
    damage(generations.path(publish(generations, b"new")) / "manifest.json", how)
    with pytest.raises(DamagedError), caplog.at_level(logging.ERROR):
        generations.read(2)
    assert [number for number, _ in generations.newest()] == [1]
    assert [aside.name for aside in (folder.path / "set-aside").iterdir()] == ["00000002.1"]
    assert "set aside" in caplog.text


@pytest.mark.parametrize("name", ["sqs.0.store", "cloudwatch.1.assets/deep/file"])
@pytest.mark.parametrize("how", ["cut", "flipped", "gone"])
def test_damage_of_a_container_is_seen_in_that_container(
    generations: Generations, name: str, how: str
) -> None:
    number = publish(generations, b"text")
    damage(generations.path(number) / name, how)
    damaged = []
    for container in generations.read(number).containers:
        try:
            generations.check(number, container)
        except DamagedError:
            damaged.append(container.name)
    assert damaged == [name.partition("/")[0]]


def test_what_has_not_changed_is_the_same_file(generations: Generations) -> None:
    publish(generations, b"same")
    draft = generations.draft()
    draft.link(generations.path(1), generations.read(1).containers)
    generations.publish(draft, ("sqs", "cloudwatch"))
    first, second = (generations.path(number) / "sqs.0.store" for number in (1, 2))
    assert first.stat().st_ino == second.stat().st_ino
    assert generations.read(2).containers == generations.read(1).containers


def test_a_full_disk_leaves_the_generation_before(
    folder: StateFolder, generations: Generations, small_disk: SmallDisk
) -> None:
    publish(generations, b"old")
    small_disk.room_bytes = 100
    cramped = Generations(folder, WRITER, small_disk.disk())
    with pytest.raises(OSError, match="No space"):
        publish(cramped, b"new" * 100)
    assert [number for number, _ in generations.newest()] == [1]


def test_a_database_is_copied_whole_while_somebody_writes(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "sub").mkdir(parents=True)
    (source / "sub/plain").write_bytes(b"as it is")
    with closing(sqlite3.connect(source / "metrics.db")) as writer:
        writer.execute("create table t (x)")
        writer.execute("insert into t values (1)")
        writer.commit()
        writer.execute("insert into t values (2)")  # not committed
        copy_assets(source, target)
    with closing(sqlite3.connect(target / "metrics.db")) as reader:
        assert reader.execute("select x from t").fetchall() == [(1,)]
    assert (target / "sub/plain").read_bytes() == b"as it is"
