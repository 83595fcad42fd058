"""Models are fetched into a folder once, whole and checked, or not at all."""

from pathlib import Path

import pytest
from chalicelib import model_cache

from movierec.errors import ArtifactError, ObjectNotFoundError, UnavailableError
from movierec.model import artifact, sealed_folder
from movierec.testing.memory import MemoryStore

VERSION = "20261120T101500Z-abc-def"
FILES = {
    name: name.encode() for name in artifact.SERVING_FILES if name != sealed_folder.MANIFEST_FILE
}


def store() -> MemoryStore:
    objects = {artifact.key(VERSION, name): body for name, body in FILES.items()}
    manifest = sealed_folder.seal({**FILES, artifact.USER_FACTORS_FILE: b"large"}, {"groups": []})
    return MemoryStore({**objects, artifact.key(VERSION, sealed_folder.MANIFEST_FILE): manifest})


def test_a_fetched_model_has_every_serving_file_and_no_more(tmp_path: Path) -> None:
    folder = model_cache.fetch(store(), VERSION, tmp_path)

    assert {path.name for path in folder.iterdir()} == set(artifact.SERVING_FILES)
    assert (folder / artifact.TOPK_FILE).read_bytes() == FILES[artifact.TOPK_FILE]


def test_a_model_with_costs_is_fetched_with_them(tmp_path: Path) -> None:
    files = {**FILES, artifact.COSTS_FILE: b"costs"}
    objects = {artifact.key(VERSION, name): body for name, body in files.items()}
    objects[artifact.key(VERSION, sealed_folder.MANIFEST_FILE)] = sealed_folder.seal(
        files, {"groups": []}
    )
    folder = model_cache.fetch(MemoryStore(objects), VERSION, tmp_path)

    assert (folder / artifact.COSTS_FILE).read_bytes() == b"costs"


def test_a_model_is_fetched_once(tmp_path: Path) -> None:
    first = model_cache.fetch(store(), VERSION, tmp_path)

    assert model_cache.fetch(MemoryStore(), VERSION, tmp_path) == first


def test_a_damaged_file_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    damaged = store()
    damaged.objects[artifact.key(VERSION, artifact.TOPK_FILE)] = b"other"

    with pytest.raises(ArtifactError, match=r"topk\.npy"):
        model_cache.fetch(damaged, VERSION, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_fetch_that_breaks_off_can_be_repeated(tmp_path: Path) -> None:
    flaky = store()
    flaky.fail_gets = 1
    with pytest.raises(UnavailableError):
        model_cache.fetch(flaky, VERSION, tmp_path)

    assert model_cache.fetch(flaky, VERSION, tmp_path).is_dir()


def test_of_two_environments_on_one_disk_the_second_takes_the_firsts_model(tmp_path: Path) -> None:
    """The second began before the first was done: its own copy is thrown away."""

    class Interrupted(MemoryStore):
        def get(self, key: str) -> bytes:
            if key.endswith(sealed_folder.MANIFEST_FILE):
                model_cache.fetch(store(), VERSION, tmp_path)
            return super().get(key)

    folder = model_cache.fetch(Interrupted(store().objects), VERSION, tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == [VERSION]
    assert (folder / sealed_folder.MANIFEST_FILE).is_file()


def test_a_version_that_was_never_written_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ObjectNotFoundError):
        model_cache.fetch(MemoryStore(), VERSION, tmp_path)
