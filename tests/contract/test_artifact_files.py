"""An artifact in a folder: numpy maps what we packed, and an answer comes from there."""

import numpy as np
import pytest

from movierec.errors import ArtifactError
from movierec.model import artifact, encoding, sealed_folder
from movierec.model.artifact import TOP_K, Model, Popular
from movierec.model.ranking import Ranked, Recommender

TOPK = np.arange(2 * TOP_K, dtype=np.uint16).reshape(2, TOP_K)


@pytest.fixture
def folder(tmp_path):
    files = artifact.pack(
        Model(
            topk=TOPK,
            user_ids=np.array([7, 8]),
            movie_ids=tuple(f"m{i}" for i in range(2 * TOP_K)),
            popular=Popular(("m0",), ("m1",), {"unknown": ("m1",)}),
            user_groups=np.zeros(9, np.uint8),
            user_factors=np.ones((2, 2), np.float32),
            item_factors=np.ones((2 * TOP_K, 2), np.float32),
        )
    )
    files[sealed_folder.MANIFEST_FILE] = sealed_folder.seal(files, {"groups": ["unknown"]})
    for name in artifact.SERVING_FILES:
        (tmp_path / name).write_bytes(files[name])
    return tmp_path


def test_array_files_are_what_numpy_itself_reads(folder):
    path = folder / artifact.TOPK_FILE
    assert np.array_equal(np.load(path, mmap_mode="r", allow_pickle=False), TOPK)


def test_a_folder_answers_what_its_files_say(folder):
    recommender = Recommender.open(folder)
    assert recommender.recommend(8, 2) == Ranked(("m50", "m51"), "model")
    assert recommender.recommend(9) == Ranked(("m1",), "popular")


@pytest.mark.parametrize("name", artifact.SERVING_FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=name.replace(".", r"\.")):
        Recommender.open(folder)


def test_opening_maps_the_lists_instead_of_reading_them(folder):
    topk = Recommender.open(folder).topk
    assert isinstance(topk.base, np.memmap)
    assert not topk.flags.writeable


def test_costs_are_read_where_there_are_some(folder):
    assert Recommender.open(folder).cost_of(("m2",)) is None
    costs = encoding.dump_npy(np.full(2 * TOP_K, 0.5, np.float32))
    (folder / artifact.COSTS_FILE).write_bytes(costs)
    assert Recommender.open(folder).cost_of(("m2",)) == 0.5
