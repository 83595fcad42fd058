"""Models and data sets that earlier code published, opened by the present code."""

import numpy as np
import pytest
from chalicelib import model_cache

from movierec.model import artifact, sealed_folder
from movierec.model import dataset as datasets
from movierec.model.ranking import Recommender
from movierec.model.segments import GROUPS
from movierec.releases import quality_gate
from tests.contract import stored_before
from tests.contract.stored_before import FIRST_DATASET, FIRST_MODEL, SECOND_DATASET, SECOND_MODEL

# What the code that wrote the models recommended: model, user, source, the first and last movies.
ANSWERS = [
    (FIRST_MODEL, 1, "model", "the+quiet+harbour+1973", "the+broken+river+1994"),
    (FIRST_MODEL, 2, "model", "the+quiet+river+1970", "the+red+harbour+1981"),
    (FIRST_MODEL, 10, "model", "the+quiet+river+1970", "the+red+garden+1983"),
    (FIRST_MODEL, 60, "popular", "the+last+letter+1987", "the+red+winter+1980"),
    (FIRST_MODEL, 999, "popular", "the+last+letter+1987", "the+red+winter+1980"),
    (SECOND_MODEL, 1, "model", "the+amber+harbour+2005", "the+broken+engine+1998"),
    (SECOND_MODEL, 2, "model", "the+quiet+river+1970", "the+broken+orchard+2001"),
    (SECOND_MODEL, 10, "model", "the+quiet+river+1970", "the+last+letter+1987"),
    (SECOND_MODEL, 60, "model", "the+amber+engine+2006", "the+quiet+letter+1971"),
    (SECOND_MODEL, 999, "popular", "the+red+signal+1984", "the+red+winter+1980"),
]

USER_1 = [
    "the+amber+harbour+2005",
    "the+quiet+harbour+1973",
    "the+broken+orchard+2001",
    "the+amber+garden+2007",
    "the+amber+orchard+2009",
    "the+red+harbour+1981",
    "the+red+orchard+1985",
    "the+red+letter+1979",
    "the+amber+letter+2003",
    "the+last+winter+1988",
    "the+amber+river+2002",
    "the+amber+winter+2004",
    "the+quiet+signal+1976",
    "the+red+engine+1982",
    "the+red+signal+1984",
    "the+broken+river+1994",
    "the+broken+signal+2000",
    "the+quiet+engine+1974",
    "the+quiet+winter+1972",
    "the+broken+engine+1998",
]


@pytest.fixture(scope="module")
def store():
    return stored_before.store()


def key_of(version):
    return lambda name: artifact.key(version, name)


def opened(store, version, folder):
    """Return the recommender of a model that is fetched as the API does."""
    return Recommender.open(model_cache.fetch(store, version, folder))


@pytest.mark.parametrize(("version", "users"), [(FIRST_MODEL, 36), (SECOND_MODEL, 60)])
def test_a_model_is_loaded_checked_and_packed_to_the_same_bytes(store, version, users):
    key = key_of(version)
    sealed = sealed_folder.manifest(store, key)
    files = sealed_folder.load(store, key, sealed["files"], sealed)
    model = artifact.unpack(files)
    assert len(model.user_ids) == users
    assert sealed["groups"] == list(GROUPS)
    again = artifact.pack(model)
    assert again == {name: files[name] for name in again}


def test_the_newest_model_is_found(store):
    assert artifact.newest(store) == SECOND_MODEL
    assert artifact.trained_at(SECOND_MODEL).isoformat() == "2026-11-19T08:02:12+00:00"


@pytest.mark.parametrize("expected", ANSWERS, ids=lambda expected: f"user {expected[1]}")
def test_a_model_answers_what_it_answered(store, tmp_path, expected):
    version, user, *answer = expected
    found = opened(store, version, tmp_path).recommend(user)
    assert len(found.movie_ids) == 20
    assert [found.source, found.movie_ids[0], found.movie_ids[-1]] == answer


def test_a_whole_list_is_what_it_was(store, tmp_path):
    assert list(opened(store, SECOND_MODEL, tmp_path).recommend(1).movie_ids) == USER_1


@pytest.mark.parametrize(
    ("dataset_id", "counts"),
    [
        (FIRST_DATASET, {"users": 36, "movies": 39, "interactions": 216}),
        (SECOND_DATASET, {"users": 60, "movies": 40, "interactions": 467, "test": 47}),
    ],
)
def test_a_data_set_is_loaded_checked_and_packed_to_the_same_bytes(store, dataset_id, counts):
    def key(name):
        return datasets.key(dataset_id, name)

    sealed = sealed_folder.manifest(store, key)
    files = sealed_folder.load(store, key, datasets.FILES, sealed)
    data = datasets.unpack(files)
    assert counts.items() <= sealed["counts"].items()
    found = {"users": data.user_ids, "movies": data.movie_ids, "interactions": data.movies}
    assert {name: len(values) for name, values in found.items()} == {
        name: counts[name] for name in found
    }
    assert int(np.sum(data.part == datasets.TEST)) == sealed["counts"]["test"]
    assert datasets.pack(data) == files


def test_the_gate_lets_the_newer_model_pass_and_refuses_the_older(store):
    assert quality_gate.faults(store, SECOND_MODEL, FIRST_MODEL) == ()
    assert quality_gate.faults(store, SECOND_MODEL, None) == ()
    assert quality_gate.faults(store, FIRST_MODEL, SECOND_MODEL) == (
        "knows 36 users, fewer than 54, 90% of the stable model's",
    )
