"""On real people's ratings the model beats the popular list by far."""

import csv
import gzip

import numpy as np
import pytest

from functions.train_als import als, rating_model
from movierec.model import dataset as datasets
from movierec.model import offline_evaluation, segments
from movierec.model.dataset import TRAIN, Evidence, Rated, Watched
from movierec.model.dataset_parameters import Parameters
from movierec.model.popularity import Popularity

pytestmark = pytest.mark.data
NONE = np.zeros(0, np.int64)


def evidence(columns, *, ages, genders):
    """Return ratings as evidence; `ages` and `genders` are of users 1, 2, 3, ..."""
    users, movies, ratings, at = columns
    names, codes = np.unique(movies, return_inverse=True)
    ids = np.arange(1, len(ages) + 1)
    return Evidence(
        movie_ids=names.astype(str).tolist(),
        watched=Watched(NONE, NONE, NONE, NONE),
        rated=Rated(users, codes, ratings, at),
        runtimes_minutes=np.zeros(len(names), np.int64),
        adult=np.zeros(len(names), bool),
        user_groups=segments.groups_by_id(ids, segments.group_of(np.array(ages), genders)),
    )


def ml_100k(folder):
    columns = np.loadtxt(folder / "ml-100k" / "u.data", dtype=np.int64, unpack=True)
    with (folder / "ml-100k" / "u.user").open() as file:
        people = list(csv.reader(file, delimiter="|"))
    ages, genders = [int(p[1]) for p in people], [p[2] for p in people]
    return evidence(columns, ages=ages, genders=genders)


def ml_1m(folder):
    with gzip.open(folder / "ml-1m" / "ratings.csv.gz", "rt") as file:
        columns = np.loadtxt(file, dtype=np.int64, delimiter=",", skiprows=1, unpack=True)
    # This copy has no times: a shuffled order stands for them.
    at = np.random.default_rng(0).permutation(columns.shape[1])
    lines = (folder / "ml-1m" / "users.dat").read_text(encoding="latin-1").splitlines()
    people = [line.split("::") for line in lines]
    ages, genders = [int(p[2]) for p in people], [p[1] for p in people]
    return evidence((*columns, at), ages=ages, genders=genders)


@pytest.mark.parametrize(("load", "ratio"), [(ml_100k, 1.3), (ml_1m, 2.2)])
def test_als_beats_the_popular_list(data_folder, load, ratio):
    dataset = datasets.build(load(data_folder), Parameters())
    train = dataset.part == TRAIN
    fitted = als.AlsModel.fit(dataset, train, als.Parameters(), threads=2)
    found = offline_evaluation.evaluate(dataset, fitted)
    ours, theirs = found["model"], found["popularity"]
    assert ours["ndcg"] > ratio * theirs["ndcg"]
    assert ours["recall"] > theirs["recall"]
    assert ours["coverage"] > 2 * theirs["coverage"]
    assert ours["rating_concordance"] > max(theirs["rating_concordance"], 0.6)
    gain = found["gain"]["ndcg"]
    assert gain["mean"] > 2 * gain["stderr"]


def test_predicted_ratings_are_nearer_than_the_biases(data_folder):
    dataset = datasets.build(ml_100k(data_folder), Parameters())
    trained = Popularity.overall(dataset, dataset.part == TRAIN)

    found = rating_model.evaluated(dataset, trained, rating_model.Parameters())

    assert found["model"]["rmse"] < found["baseline"]["rmse"] < found["mean"]["rmse"]
    assert found["gain"]["mean"] > 2 * found["gain"]["stderr"]
    assert abs(sum(found["lists"]["model"]["distribution"].values()) - 1) < 1e-9
