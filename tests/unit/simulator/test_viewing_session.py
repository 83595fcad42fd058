import numpy as np

from movierec.model.rating_scale import NATIVE
from simulator.viewing_session import Viewing, simulate_session

EVERY = np.arange(800)


def sessions(world, lists, seed=1, seen=()):
    rng = np.random.default_rng(seed)
    return [
        simulate_session(world, user, lists(user), set(seen), scale=NATIVE, rng=rng)
        for user in range(300)
    ]


def best(world):
    return lambda user: np.argsort(-world.preferences.affinity(np.array([user]), EVERY))[
        :20
    ].tolist()


def popular(world):
    top = np.argsort(-world.preferences.popularity)[:20].tolist()
    return lambda _user: top


def outcome(found):
    hits = [e.viewing for e in found if e.viewing and e.viewing.recommended]
    minutes = sum(v.last_minute for v in hits) / len(found)
    ratings = [v.rating for v in hits if v.rating]
    return len(hits) / len(found), minutes, np.mean(ratings)


def test_a_better_recommender_is_watched_more_longer_and_rated_higher(small_world):
    good = outcome(sessions(small_world, best(small_world)))
    poor = outcome(sessions(small_world, popular(small_world)))
    assert good[0] > poor[0] + 0.2
    assert good[1] > 1.5 * poor[1]
    assert good[2] > poor[2] + 0.5


def test_no_film_is_watched_or_rated_again(small_world):
    seen = set(range(0, 800, 2))
    found = sessions(small_world, popular(small_world), seen=seen)
    watched = [e.viewing.film for e in found if e.viewing]
    rated = [rating.film for e in found for rating in e.ratings]
    assert watched
    assert rated
    assert not seen & {*watched, *rated}


def test_a_spree_rates_each_film_once_and_not_the_one_just_watched(small_world):
    for session in sessions(small_world, popular(small_world)):
        films = [rating.film for rating in session.ratings]
        assert len(set(films)) == len(films)
        assert session.viewing is None or session.viewing.film not in films


def test_without_recommendations_people_find_something_themselves(small_world):
    found = sessions(small_world, lambda _user: [])
    assert any(e.viewing for e in found)
    assert not any(e.viewing.recommended for e in found if e.viewing)


def test_minors_are_not_tempted_by_adult_films(small_world):
    adult = np.flatnonzero(small_world.films.adult).tolist()
    minors = np.flatnonzero(small_world.preferences.is_minor).tolist()
    rng = np.random.default_rng(1)
    for user in minors:
        session = simulate_session(small_world, user, adult, set(), scale=NATIVE, rng=rng)
        films = [rating.film for rating in session.ratings]
        films += [session.viewing.film] if session.viewing else []
        assert not set(films) & set(adult)


def test_the_watched_share_ends_at_one():
    assert Viewing(0, 49, recommended=True, rating=None).watch_share(100) == 0.5
    assert Viewing(0, 101, recommended=True, rating=None).watch_share(100) == 1.0
