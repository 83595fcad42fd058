import dataclasses

import numpy as np
import pytest

from movierec.errors import ArtifactError
from movierec.model import dataset as datasets
from movierec.model import encoding, texts
from movierec.model.dataset_parameters import Parameters
from movierec.model.texts import Description, MovieText, Texts
from tests.unit.movierec.model.viewers import skewed

WRITTEN = Texts(
    np.array([0, 3], np.int32),
    (Description("horror, \u00e9t\u00e9", ""), Description("", 'no {curly} "quotes"')),
    (MovieText("Alien", ("Horror",), ("space",), ("Ridley Scott",), "In space."), MovieText()),
)


def test_texts_are_read_as_they_were_written():
    found = texts.unpack(WRITTEN.pack(), 4, 2)
    assert found is not None
    assert found.rows.tolist() == [0, 3]
    assert found.rows.dtype == np.int32
    assert found.descriptions == WRITTEN.descriptions
    assert found.movies == WRITTEN.movies


def test_a_data_set_of_before_has_no_texts():
    assert texts.unpack({}, 4, 2) is None


@pytest.mark.parametrize(
    ("written", "n_users", "n_movies", "said"),
    [
        (WRITTEN, 3, 2, "users that the data set has not"),
        (WRITTEN, 4, 3, "has 2 movies, the data set 3"),
        (dataclasses.replace(WRITTEN, rows=np.array([3, 3])), 4, 2, "or one twice"),
        (dataclasses.replace(WRITTEN, rows=np.array([3])), 4, 2, "users that the data set has not"),
    ],
)
def test_texts_of_another_data_set_are_refused(written, n_users, n_movies, said):
    with pytest.raises(ArtifactError, match=said):
        texts.unpack(written.pack(), n_users, n_movies)


def test_texts_that_are_damaged_are_refused():
    files = WRITTEN.pack() | {texts.MOVIES_FILE: encoding.dump_json([{"tilte": "Alien"}])}
    with pytest.raises(ArtifactError, match="is not as it was written"):
        texts.unpack(files, 4, 1)


def test_a_description_of_blanks_says_nothing():
    assert not Description(" ", "\n")
    assert Description("", "westerns")


def test_a_data_sets_texts_and_costs_come_with_it_and_leave_its_id():
    plain = skewed()
    movies = tuple(MovieText(title=name) for name in plain.movie_ids)
    written = dataclasses.replace(WRITTEN, movies=movies)
    costs = np.linspace(0, 1, len(movies))
    costs[0] = np.nan
    full = dataclasses.replace(plain, texts=written, costs=costs)
    files = datasets.pack(full)
    found = datasets.unpack(files)
    assert found.texts is not None
    assert found.costs is not None
    assert found.texts.movies == movies
    np.testing.assert_array_equal(found.costs, costs.astype(np.float32))
    assert datasets.dataset_id(files, Parameters(), {}) == datasets.dataset_id(
        datasets.pack(plain), Parameters(), {}
    )
