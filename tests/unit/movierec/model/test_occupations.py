"""Occupations are an optional part of a data set: without them it loads as before."""

import dataclasses

import numpy as np
import pytest

from movierec.errors import ArtifactError
from movierec.model import dataset as datasets
from movierec.model import occupations
from movierec.model.dataset_parameters import Parameters
from movierec.model.occupations import Occupations
from tests.unit.movierec.model.tastes import tasteful


def given():
    found = Occupations.of(np.array([3, 5, 9]), ["artist", "", " writer "])
    assert found is not None
    return found


def test_a_users_occupation_is_found_by_id():
    assert given().names == ("unknown", "artist", "writer")
    users = np.array([1, 3, 5, 9, 1_000])
    assert given().of_users(users).tolist() == ["unknown", "artist", "unknown", "writer", "unknown"]


def test_users_without_any_have_no_occupations():
    assert Occupations.of(np.array([1, 2]), ["", "unknown"]) is None


def test_rare_ones_of_many_are_others():
    names = [f"job {n}" for n in range(occupations.MOST)] * 2 + ["rare", "odd"]
    found = Occupations.of(np.arange(len(names)), names)
    assert found is not None
    assert len(found.names) == occupations.MOST + 2
    assert found.of_users(np.arange(len(names))).tolist() == [*names[:-2], "other", "other"]


def test_a_data_set_keeps_them_and_its_id_is_that_without():
    bare = tasteful()
    rich = dataclasses.replace(bare, occupations=given())
    files = datasets.pack(rich)
    found = datasets.unpack(files).occupations
    assert found is not None
    assert (found.names, found.by_id.tolist()) == (given().names, given().by_id.tolist())
    assert datasets.unpack(datasets.pack(bare)).occupations is None
    parameters, versions = Parameters(), {"events": 1}
    assert datasets.dataset_id(files, parameters, versions) == datasets.dataset_id(
        datasets.pack(bare), parameters, versions
    )


def test_a_number_without_a_name_is_refused():
    files = given().pack()
    files[occupations.NAMES_FILE] = b'["unknown"]'
    with pytest.raises(ArtifactError, match=occupations.BY_USER_FILE):
        occupations.unpack(files)
