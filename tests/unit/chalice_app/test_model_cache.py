"""Which model is served: a version by its name, or the newest that is complete."""

from pathlib import Path

import pytest
from chalicelib import model_cache

from movierec.errors import ArtifactError, ObjectNotFoundError
from movierec.model import artifact, sealed_folder
from movierec.testing.memory import MemoryStore

VERSION = "20261120T101500Z-abc-def"


@pytest.mark.parametrize("version", ["../../etc", "", "20261120T101500Z-abc-def/.."])
def test_a_name_that_is_no_version_never_becomes_a_path(version: str) -> None:
    with pytest.raises(ArtifactError, match="no model version"):
        model_cache.fetch(MemoryStore(), version, Path("models"))


def test_the_newest_model_is_the_last_complete_one() -> None:
    later, unfinished = "20261121T000000Z-abc-def", "20261122T000000Z-abc-def"
    bucket = MemoryStore(
        {
            artifact.key(VERSION, sealed_folder.MANIFEST_FILE): b"",
            artifact.key(later, sealed_folder.MANIFEST_FILE): b"",
            artifact.key(unfinished, artifact.TOPK_FILE): b"",
        }
    )

    assert artifact.newest(bucket) == later


def test_without_a_model_one_is_told_to_train() -> None:
    with pytest.raises(ObjectNotFoundError, match="train one"):
        artifact.newest(MemoryStore({"datasets/x/manifest.json": b""}))
