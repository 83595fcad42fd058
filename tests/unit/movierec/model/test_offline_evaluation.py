"""The model is judged by what users did later, beside the popular list, group by group."""

import json

import numpy as np
import pytest

from movierec.model import offline_evaluation
from movierec.model.dataset import TEST, TRAIN
from movierec.model.sparse_rows import row_numbers
from tests.unit.movierec.model.svd_model import SvdModel
from tests.unit.movierec.model.tastes import N_MOVIES, tasteful


def evaluate(dataset, **options):
    return offline_evaluation.evaluate(dataset, SvdModel(dataset, dataset.part == TRAIN), **options)


@pytest.fixture(scope="module")
def metrics():
    return evaluate(tasteful(1))


def test_a_model_of_tastes_beats_the_popular_list(metrics):
    assert metrics["model"]["recall"] > 0.9
    assert metrics["model"]["recall"] > 1.5 * metrics["popularity"]["recall"]
    gain = metrics["gain"]["ndcg"]
    assert gain["mean"] > 4 * gain["stderr"] > 0


def test_every_user_who_liked_something_later_is_tested(metrics):
    dataset = tasteful(1)
    liked = (dataset.part == TEST) & (dataset.strength > 0)
    assert metrics["test_users"] == len(np.unique(row_numbers(dataset.indptr)[liked]))
    assert metrics["test_interactions"] == liked.sum()


def test_an_even_share_of_many_test_users_is_enough(metrics):
    found = evaluate(tasteful(1), most_users=30)
    assert 20 <= found["test_users"] <= 30
    assert found["model"]["users"] == found["test_users"]
    assert found["model"]["recall"] == pytest.approx(metrics["model"]["recall"], abs=0.1)


def test_groups_of_each_kind_are_all_the_test_users(metrics):
    assert set(metrics["groups"]) == {"gender", "age", "activity", "tenure"}
    for groups in metrics["groups"].values():
        assert sum(g["model"]["users"] for g in groups.values()) == metrics["test_users"]
    assert {"F", "M"} <= set(metrics["groups"]["gender"])


def test_ratings_are_judged_too(metrics):
    assert 1 <= metrics["model"]["mean_hit_rating"] <= 5
    assert 0 <= metrics["model"]["rating_concordance"] <= 1


def test_without_ratings_there_are_no_rating_metrics():
    found = evaluate(tasteful(0))
    assert found["model"]["mean_hit_rating"] is None
    assert found["model"]["rating_concordance"] is None


def test_metrics_are_plain_values_and_the_same_every_time(metrics):
    again = evaluate(tasteful(1))
    assert json.loads(json.dumps(metrics)) == metrics == again


def test_the_popular_list_is_the_same_for_all_but_what_they_have_seen():
    """Novelty needs a list: with every movie adult, minors and unknown ages have none."""
    dataset = tasteful(0, adult=range(N_MOVIES))
    found = evaluate(dataset)
    minors = found["groups"]["age"]["0-17"]
    assert minors["model"]["recall"] == minors["popularity"]["recall"] == 0
    assert found["groups"]["age"]["55+"]["model"]["recall"] > 0.5
