import numpy as np

from movierec.model.rating_scale import NATIVE, RatingScale
from simulator import preferences, synthetic_world
from simulator.user_demographics import MAX_AGE, MIN_AGE, OCCUPATIONS


def columns(found):
    users, films, hidden = found.users, found.films, found.preferences
    return [
        users.age, users.gender, users.occupation, films.ids, films.runtime_minutes,
        films.adult, hidden.user_factors, hidden.film_factors, hidden.popularity,
        hidden.favourite_niches,
    ]  # fmt: skip


def test_the_same_seed_makes_the_same_world_and_another_one_another():
    first, again, other = (synthetic_world.generate(50, 200, seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(columns(first), columns(again), strict=True))
    assert not any(
        np.array_equal(a, b) for a, b in zip(columns(first), columns(other), strict=True)
    )


def test_people_are_as_the_site_describes_them(small_world):
    people = small_world.users
    assert people.age.min() >= MIN_AGE
    assert people.age.max() <= MAX_AGE
    assert set(people.gender.tolist()) == {0, 1}
    assert len(OCCUPATIONS) == 21
    pupils = people.occupation == OCCUPATIONS.index("K-12 student")
    assert np.array_equal(pupils, people.age < 18)


def test_films_have_what_the_catalog_needs(small_world):
    films = small_world.films
    assert len(set(films.ids)) == len(films) == 800
    assert films.runtime_minutes.min() > 0
    assert films.runtime_minutes.max() > 300
    assert (films.genres > 0).all()
    assert 0 < films.adult.mean() < 0.05


def test_a_minor_likes_no_adult_film(small_world):
    truth = small_world.preferences
    minor = np.flatnonzero(truth.is_minor)[:1]
    adult = np.flatnonzero(truth.film_adult)
    assert (truth.affinity(minor, adult) < -8).all()


def test_users_meet_what_they_like_more_often_than_chance_would_have_it(small_world):
    truth, rng = small_world.preferences, np.random.default_rng(2)
    users = rng.integers(0, 300, 4000)
    met = truth.affinity(users, truth.discover(users, rng)).mean()
    by_chance = truth.affinity(users, rng.integers(0, 800, 4000)).mean()
    picked = truth.affinity(users, truth.pick(users, 3, rng)).mean()
    assert by_chance + 0.5 < met < picked


def test_demography_shifts_taste():
    found = synthetic_world.generate(6000, 400, 11)
    favourite = found.preferences.favourite_niches[:, 0]
    young, old = (
        np.bincount(favourite[mask], minlength=synthetic_world.NICHES) / mask.sum()
        for mask in (found.users.age < 25, found.users.age >= 45)
    )
    assert np.abs(young - old).sum() > 0.5


def test_what_is_liked_is_watched_longer_and_rated_higher():
    rng = np.random.default_rng(1)
    runtime = np.full(5000, 100)
    low, high = np.full(5000, -1.0, np.float32), np.full(5000, 1.5, np.float32)
    assert (
        preferences.last_minutes(high, runtime, rng).mean()
        > 2 * preferences.last_minutes(low, runtime, rng).mean()
    )
    flat = np.zeros(5000, np.float32)
    assert (
        preferences.ratings(high, flat, NATIVE, rng).mean()
        > preferences.ratings(low, flat, NATIVE, rng).mean() + 1.5
    )


def test_minutes_and_ratings_keep_to_their_ranges():
    rng = np.random.default_rng(1)
    affinity = np.linspace(-9, 9, 2000, dtype=np.float32)
    last = preferences.last_minutes(affinity, np.full(2000, 60), rng)
    assert last.min() >= 0
    assert last.max() == 61
    for scale in (NATIVE, RatingScale(1, 10), RatingScale(0, 10)):
        given = preferences.ratings(affinity, np.zeros(2000, np.float32), scale, rng)
        assert given.min() == scale.lowest
        assert given.max() == scale.highest
