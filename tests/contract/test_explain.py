"""Why a user gets a list: by a model of real texts, its overlays, and the lake."""

import json
import random
import time

import pytest

from functions.refresh import served_model
from functions.refresh.asking import Timing
from functions.refresh.described import Reader
from movierec.aws import list_facts
from movierec.cli import explain as command
from movierec.errors import UsageError
from movierec.taste import served_list
from movierec.taste.language_model import LanguageModel
from tests.contract.language_model_stub import completion, tastes
from tests.contract.refresh_site import N_MOVIES, Site, columns, event, watch


class WordsOfSite(Site):
    """Users write what they like, and the model has learned from it."""

    def load_model(self, version):
        return served_model.load(self.store, version)

    def explain(self, model, user, movies=10):
        facts = list_facts.read(self.lake, user)
        return served_list.explain(self.store, model, user, facts, movies=movies)


@pytest.fixture
def site(tmp_path):
    found = WordsOfSite(tmp_path / "lake")
    found.clock.advance(60)
    found.know(range(1, 41, 2), likes="odds")
    found.know(range(2, 41, 2), likes="evens", dislikes="odds")
    return found


@pytest.fixture
def model(site):
    version = site.train()
    site.serve(version)
    return version


def test_a_list_of_the_training_is_explained_by_what_was_liked(site, model):
    found = site.explain(model, 2)
    assert (found.made_from, found.refresh) == ("model", 0)
    assert [each.movie_id for each in found.movies] == list(site.answer(model, 2).movie_ids)
    assert all(int(pull.movie_id[1:]) in site.seen[2] for pull in found.movies[0].pulls)


def test_a_list_from_a_text_is_explained_by_its_words(site, model):
    site.clock.advance(60)
    site.know([777], likes="odds, always", dislikes="evens")
    site.premiere(["n1", "n2"], "odds")
    site.refresh()
    found = site.explain(model, 777, 20)
    assert (found.made_from, found.refresh, found.liked) == ("description", 1, 0)
    assert [each.movie_id for each in found.movies] == list(site.answer(model, 777, 20).movie_ids)
    first = found.movies[0]
    assert not first.pulls
    assert {word.text.lower() for word in first.words} <= {"odds", "evens"}
    assert max(word.share for word in first.words) > 0.3
    new = [each for each in found.movies if each.new]
    assert {each.movie_id for each in new} == {"n1", "n2"}
    assert all(each.words for each in new)
    shown = command.lines(found, {})
    assert "refresh 1; the list of user 777 was made from what the user wrote" in shown[0]
    assert any("(new) because of" in line for line in shown)


def test_a_list_from_what_a_language_model_has_read_is_explained_by_that(site, model):
    answer = json.dumps(completion(tastes(liked_genres=["odds"]))).encode()
    language_model = LanguageModel("http://h/v1/chat/completions", "small", 0.0, 0.0, 1.0, 30.0)
    timing = Timing(time.monotonic, time.sleep)
    site.new_reader = lambda: Reader(
        language_model,
        site.store,
        site.clock,
        lambda *_: answer,
        timing,
        random.Random(1),
        site.logger,
    )
    site.clock.advance(60)
    site.know([777], likes="what nobody halves")
    site.refresh()
    found = site.explain(model, 777)
    assert found.made_from == "description"
    assert {word.text.lower() for each in found.movies for word in each.words} == {"odds"}


def test_newer_events_and_words_pull_together(site, model):
    site.clock.advance(60)
    site.know([777], likes="odds")
    site.append("events", columns([watch(1000, 777, 1), watch(1001, 777, 3)]))
    site.refresh()
    found = site.explain(model, 777)
    assert (found.made_from, found.liked) == ("fold_in", 2)
    first = found.movies[0]
    assert {pull.movie_id for pull in first.pulls} == {"m01", "m03"}
    assert [word.text.lower() for word in first.words] == ["odds"]
    total = sum(one.share for one in (*first.pulls, *first.words))
    assert 0.9 < total <= 1 + 1e-6


def test_who_wrote_nothing_is_expected_to_be_like_the_group(site, model):
    site.append("events", columns([watch(1000, 777, 1)]))
    site.refresh()
    found = site.explain(model, 777)
    assert {pull.movie_id for each in found.movies for pull in each.pulls} == {"m01"}
    assert any(each.words for each in found.movies)
    words = {word.text for each in found.movies for word in each.words}
    assert words == {served_list.GROUP_WORD}


def test_who_is_not_known_gets_the_list_of_the_group(site, model):
    assert site.explain(model, 777).made_from == "fallback"
    site.append("events", columns([event("create_account", 1000, 777)]))
    site.refresh()
    found = site.explain(model, 777)
    assert (found.made_from, found.lists_from, found.refresh) == ("group", "popular", 1)
    assert [each.movie_id for each in found.movies] == list(site.answer(model, 777).movie_ids)
    assert "popular list" in command.lines(found, {})[0]
    assert not any(each.pulls or each.words for each in found.movies)


def test_a_known_users_list_is_the_models_beside_an_overlay(site, model):
    site.append("events", columns([watch(1000, 3, 1)]))
    site.refresh()
    found = site.explain(model, 2, N_MOVIES)
    assert (found.made_from, found.refresh) == ("model", 1)
    assert [e.movie_id for e in found.movies] == list(site.answer(model, 2, N_MOVIES).movie_ids)


def test_an_unknown_model_is_named(site, model):
    with pytest.raises(UsageError, match=f"the newest is {model}"):
        site.explain("20200101T000000Z-a-b", 2)
