"""Known flaws are planted, and the evaluation says what is wrong."""

import dataclasses

import numpy as np

from movierec.model import offline_evaluation
from movierec.model.dataset import TEST, TRAIN
from movierec.model.occupations import Occupations
from movierec.model.offline_metrics import MIN_GROUP_USERS
from tests.unit.movierec.model.viewers import Scores, likes, popular, random, skewed

DATASET = skewed()


def flags(dataset, fitted):
    return offline_evaluation.evaluate(dataset, fitted)["flags"]


def test_an_honest_model_has_no_flags():
    assert flags(DATASET, popular(DATASET)) == []


def test_a_subpopulation_that_is_served_at_random_is_named():
    women = np.array([user % 2 == 0 for user in DATASET.user_ids])
    scores = np.where(women[:, None], random(DATASET).scores, popular(DATASET).scores)
    found = flags(DATASET, Scores(scores))
    assert {flag["kind"] for flag in found} == {"group"}
    assert "gender F: recall is" in " ".join(flag["text"] for flag in found)
    assert "gender M" not in " ".join(flag["text"] for flag in found)


def test_a_handful_of_users_is_not_judged():
    """All of them were unlucky: their standard error of 0 says nothing."""
    few = np.arange(len(DATASET.user_ids)) % 12 == 0
    names = np.where(few, "actor", "artist")
    dataset = dataclasses.replace(DATASET, occupations=Occupations.of(DATASET.user_ids, names))
    scores = np.where(few[:, None], -popular(DATASET).scores, popular(DATASET).scores)
    metrics = offline_evaluation.evaluate(dataset, Scores(scores))
    gain = metrics["groups"]["occupation"]["actor"]["differences"]["popularity"]["recall"]
    assert gain["mean"] + 3 * gain["stderr"] < 0
    assert gain["users"] < MIN_GROUP_USERS
    assert not any("actor" in flag["text"] for flag in metrics["flags"])


def test_an_occupation_that_is_served_at_random_is_named():
    artists = DATASET.occupations.of_users(DATASET.user_ids) == "artist"
    scores = np.where(artists[:, None], random(DATASET).scores, popular(DATASET).scores)
    found = flags(DATASET, Scores(scores))
    assert any(flag["text"].startswith("occupation artist:") for flag in found)


def test_a_model_that_knows_the_held_out_part_is_implausible():
    known = popular(DATASET).scores + 1e4 * likes(DATASET, DATASET.part == TEST)
    found = flags(DATASET, Scores(known))
    assert [flag["kind"] for flag in found] == ["implausible", "implausible"]
    assert "NDCG is 1.000" in found[0]["text"]


def test_a_held_out_event_in_train_is_a_leak():
    part = DATASET.part.copy()
    part[np.flatnonzero(part == TEST)[-1]] = TRAIN
    late = DATASET.last_at[part == TRAIN] > DATASET.last_at[part == TEST].min()
    assert late.sum() == 1
    leaked = dataclasses.replace(DATASET, part=part)
    (found,) = flags(leaked, popular(leaked))
    assert found["kind"] == "leak"
    assert found["text"].startswith("1 interactions of TRAIN")


def test_a_test_item_that_is_in_train_too_is_a_leak():
    """A second row of the same user and movie, as old as the user's first one."""
    place = int(np.flatnonzero(DATASET.part == TEST)[0])
    user = int(np.searchsorted(DATASET.indptr, place, side="right")) - 1
    rows = {
        name: np.insert(getattr(DATASET, name), place, getattr(DATASET, name)[place])
        for name in ("movies", "strength", "ratings", "last_at", "part")
    }
    rows["part"][place], rows["last_at"][place] = TRAIN, DATASET.last_at.min()
    indptr = DATASET.indptr + (np.arange(len(DATASET.indptr)) > user)
    leaked = dataclasses.replace(DATASET, indptr=indptr, **rows)
    (found,) = flags(leaked, popular(leaked))
    assert found == {"kind": "leak", "text": "1 pairs of user and movie are in TRAIN and in TEST"}
