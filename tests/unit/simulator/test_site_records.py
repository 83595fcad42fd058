import json

import numpy as np
import pytest

from simulator import incomplete_documents, license_costs
from simulator.description_words import GENRE_WORDS, VAGUE
from simulator.film_catalog import LAST_YEAR
from simulator.growing_site import Site
from simulator.site_records import RecordOptions, SiteRecords

DAY_S = 86_400
LIKES, DISLIKES = "self_description_likes", "self_description_dislikes"


class Clock:
    """A clock that a test sets."""

    now_s = 1_790_000_000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def growing(world, clock, movies_per_day=0.0):
    return Site(world, seed=7, movies_per_day=movies_per_day, now_s=clock)


def movies(site, **options):
    return [json.loads(line) for line in SiteRecords(site, RecordOptions(**options)).movie_lines()]


def users(site, **options):
    return [json.loads(line) for line in SiteRecords(site, RecordOptions(**options)).user_lines()]


# Self-descriptions ------------------------------------------------------------------------


def test_a_share_of_the_users_describes_itself_and_the_others_leave_the_fields_empty(small_world):
    found = users(Site(small_world), described=0.3)
    described = [user for user in found if user[LIKES]]
    assert 0.2 < len(described) / len(found) < 0.4
    assert {user[LIKES] for user in found if not user[LIKES]} == {None, ""}
    assert {user[DISLIKES] for user in found if not user[LIKES]} == {None, ""}
    assert 0.3 < sum(bool(user[DISLIKES]) for user in described) / len(described) < 0.9
    assert found == users(Site(small_world), described=0.3)


def test_by_default_users_have_no_such_fields(small_world):
    assert not any(LIKES in user for user in users(Site(small_world)))


def test_people_write_that_they_like_what_they_like_indeed(small_world):
    """Read out of the texts alone, as a recommender must."""
    gaps = []
    for index, user in enumerate(users(Site(small_world), described=1.0)):
        liked = affinities(small_world, index, user[LIKES])
        disliked = affinities(small_world, index, user[DISLIKES] or "")
        if liked and disliked:
            gaps.append(np.mean(liked) - np.mean(disliked))
    assert len(gaps) > 100
    assert np.mean(gaps) > 0.8
    assert np.mean(np.array(gaps) > 0) > 0.9


def test_people_write_in_their_own_words_and_some_say_nothing_of_use(small_world):
    """A table of templates, usual names of genres and exact titles does not read them all."""
    texts = [user[LIKES] for user in users(Site(small_world), described=1.0)]
    assert len(set(texts)) > 0.85 * len(texts)
    usual = [words[0] for words in GENRE_WORDS.values()]
    titles = [title.text for title in small_world.films.titles]
    exact = sum(any(name in text for name in usual + titles) for text in texts)
    assert 0.4 < exact / len(texts) < 0.85
    vague = sum(text.lower() in {words.lower() for words in VAGUE} for text in texts)
    assert 0 < vague / len(texts) < 0.15


def affinities(world, user, text):
    """Return how well the user likes the films of each genre that the text names."""
    names = enumerate(GENRE_WORDS.values())
    bits = [bit for bit, words in names if any(word in text for word in words)]
    films = [np.flatnonzero(world.films.genres >> bit & 1) for bit in bits]
    return [float(world.preferences.affinity(np.array([user]), some).mean()) for some in films]


def test_a_new_account_is_answered_with_its_self_description(small_world, clock):
    site = growing(small_world, clock)
    records = SiteRecords(site, RecordOptions())
    assert records.user(301) is None
    rows = site.create_accounts(200)
    assert (rows.start, rows.stop) == (300, 500)
    found = [user for row in rows if (user := records.user(row + 1))]
    assert [user["user_id"] for user in found] == list(range(301, 501))
    assert all(LIKES in user and DISLIKES in user for user in found)
    assert 0.4 < sum(bool(user[LIKES]) for user in found) / 200 < 0.8
    assert LIKES not in (records.user(300) or ())
    assert len(users(site)) == 500
    assert records.user(501) is None


# Costs ------------------------------------------------------------------------------------


def test_a_film_costs_dollars_and_old_and_unpopular_ones_are_cheaper(small_world):
    found = movies(Site(small_world), cost=True)
    assert all(isinstance(movie["cost"], float) and 0 < movie["cost"] < 10 for movie in found)
    cost = np.array([movie["cost"] for movie in found])
    year = np.array([title.year for title in small_world.films.titles])
    assert cost[year >= LAST_YEAR - 5].mean() > 1.5 * cost[(year > 0) & (year < 1990)].mean()
    popular = small_world.preferences.popularity > np.median(small_world.preferences.popularity)
    assert cost[popular].mean() > 1.2 * cost[~popular].mean()
    assert found[3]["cost"] == license_costs.usd_per_play(small_world, 3)


def test_by_default_films_have_no_cost(small_world):
    assert not any("cost" in movie for movie in movies(Site(small_world)))


# Growth -----------------------------------------------------------------------------------


def test_films_come_by_the_day_and_those_that_were_there_stay_what_they_were(small_world, clock):
    site = growing(small_world, clock, movies_per_day=24)
    first = movies(site, cost=True)
    assert len(first) == 800
    clock.now_s += 5 * 3600
    later = movies(site, cost=True)
    assert later[:800] == first
    assert len(later) == 805
    assert len({movie["id"] for movie in later}) == 805
    assert SiteRecords(site, RecordOptions(cost=True)).movie(later[-1]["id"]) == later[-1]


def test_films_and_accounts_are_the_same_however_a_site_came_to_them(small_world, clock):
    step_by_step, at_once = (growing(small_world, clock, movies_per_day=24) for _ in range(2))
    assert len(at_once.world.films) == len(step_by_step.world.films)
    for _ in range(6):
        clock.now_s += DAY_S / 24
        step_by_step.create_accounts(50)
        assert step_by_step.world
    at_once.create_accounts(300)
    assert movies(step_by_step) == movies(at_once)
    assert users(step_by_step) == users(at_once)


def test_new_films_are_discovered(small_world, clock):
    site = growing(small_world, clock, movies_per_day=24)
    assert site.world
    clock.now_s += 10 * 3600
    found = site.world.preferences.discover(np.arange(300), np.random.default_rng(1))
    assert 0.1 < (found >= 800).mean() < 0.3
    assert found.max() < 810


# Incomplete documents -----------------------------------------------------------------------


def test_incomplete_films_and_users_lack_something_and_are_so_each_time(small_world):
    whole, spoilt = movies(Site(small_world)), movies(Site(small_world), incomplete=1.0)
    assert all(one != other for one, other in zip(whole, spoilt, strict=True))
    assert spoilt == movies(Site(small_world), incomplete=1.0)
    assert any(movie["runtime"] is None for movie in spoilt)
    assert any("genres" not in movie for movie in spoilt)
    assert any(isinstance(genre, str) for movie in spoilt for genre in movie.get("genres", []))
    assert any(movie["release_date"] and len(movie["release_date"]) == 4 for movie in spoilt
               if movie["release_date"] != "null")  # fmt: skip
    assert any(movie["adult"] is False for movie in spoilt)
    assert any(movie["adult"] == "False" for movie in spoilt)
    people = users(Site(small_world), incomplete=1.0)
    assert any("occupation" not in user for user in people)
    assert {user["gender"] for user in people} == {"f", "m", "F", "M"}


def test_lines_are_corrupted_for_a_reader_who_knows_the_runtimes_that_were_answered(small_world):
    found = movies(Site(small_world), incomplete=0.5)
    answered = {movie["id"]: movie["runtime"] or 0 for movie in found}
    assert incomplete_documents.runtimes(small_world.films, 0.5) == answered
    assert incomplete_documents.runtimes(small_world.films, 0.0) == small_world.films.runtimes


def test_only_the_share_asked_for_is_incomplete(small_world):
    whole, some = movies(Site(small_world)), movies(Site(small_world), incomplete=0.25)
    changed = sum(one != other for one, other in zip(whole, some, strict=True))
    assert 0.15 < changed / 800 < 0.35
