import re

import numpy as np
import pytest

from movierec.model.rating_scale import RatingScale
from simulator import history_format, history_generator
from simulator.history_generator import CREATE_ACCOUNT, RATE, RECOMMEND, WATCH, HistoryWindow
from simulator.local_clock import LocalClock
from simulator.request_errors import Server
from simulator.world_growth import GrowingWorld

END_S = 1_790_000_000
SERVER = Server("localhost:8082", "127.0.0.1")


def make(world, lines=20_000, days=10.0, users=None, seed=1):
    users = np.arange(len(world.users)) if users is None else users
    return history_generator.generate(
        world, users, lines, HistoryWindow(END_S, days), np.random.default_rng(seed)
    )


@pytest.fixture(scope="module")
def past(small_world):
    return make(small_world)


def test_there_are_as_many_lines_as_asked_for_and_few_more(past):
    assert 20_000 <= len(past) < 24_000


def test_no_line_is_printed_twice(small_world, past):
    texts = history_format.texts(past, small_world, SERVER, np.random.default_rng(1))
    assert len(set(texts)) == len(texts)


def test_all_is_over_when_the_past_ends(past):
    assert past.time_s.max() <= END_S
    assert np.median(past.time_s) > END_S - 10 * 86_400


def test_lines_are_in_order_but_for_small_inversions(past):
    late = np.maximum.accumulate(past.time_s) - past.time_s
    assert 0 < late.max() <= 16
    assert (late > 0).mean() < 0.1


def test_the_mix_is_the_courses(small_world):
    past = make(small_world, 8000)
    kinds = np.bincount(past.kind) / len(past)
    assert 0.74 < kinds[WATCH] < 0.88
    assert 0.07 < kinds[RATE] < 0.18
    assert 0.03 < kinds[RECOMMEND] < 0.08


def test_a_film_is_watched_minute_by_minute_and_no_longer_than_it_lasts(small_world, past):
    watched = past.kind == WATCH
    runtime = small_world.films.runtime_minutes[past.film[watched]]
    assert (past.value[watched] <= runtime + 1).all()
    order = np.lexsort((past.time_s[watched], past.film[watched], past.user[watched]))
    user, film, minute, time = (
        column[watched][order] for column in (past.user, past.film, past.value, past.time_s)
    )
    same = (np.diff(user) == 0) & (np.diff(film) == 0)
    assert (np.diff(minute)[same] == 1).all()
    assert (np.diff(time)[same] == 60).all()
    assert (minute[1:][~same] == 0).all()


def test_a_user_does_one_thing_at_a_time(past):
    watched = past.kind == WATCH
    order = np.lexsort((past.time_s[watched], past.user[watched]))
    user, time = past.user[watched][order], past.time_s[watched][order]
    assert (np.diff(time)[np.diff(user) == 0] >= 60).all()


def test_only_the_given_users_appear(small_world):
    some = np.arange(0, 300, 3)
    assert set(make(small_world, 5000, users=some).user.tolist()) <= set(some.tolist())


def test_minors_see_no_adult_film(small_world, past):
    seen = past.kind != RECOMMEND
    minors = small_world.preferences.is_minor[past.user[seen]]
    assert minors.any()
    assert not (minors & small_world.films.adult[past.film[seen]]).any()


def test_the_best_liked_are_rated_best(small_world, past):
    rated = past.kind == RATE
    affinity = small_world.preferences.affinity(past.user[rated], past.film[rated])
    assert np.corrcoef(affinity, past.value[rated])[0, 1] > 0.6


def test_earlier_lists_are_popular_and_a_few_hold_a_film_twice(small_world, past):
    lengths = np.array([len(set(row)) for row in past.lists.tolist()])
    assert past.lists.shape[1] == 20
    assert 0.9 < (lengths == 20).mean() < 0.99
    popularity = small_world.preferences.popularity
    assert popularity[past.lists].mean() > 1.5 * popularity.mean()
    assert not small_world.films.adult[past.lists].any()


def test_request_lines_carry_fractions_of_3_6_or_9_digits_and_some_failures(small_world, past):
    texts = history_format.texts(past, small_world, SERVER, np.random.default_rng(1))
    asked = [texts[i] for i in np.flatnonzero(past.kind == RECOMMEND).tolist()]
    digits = {len(m[1]) for line in asked if (m := re.match(r"[^,.]*\.(\d+),", line))}
    assert digits == {3, 6, 9}
    assert 0 < sum(", status 0, " in line for line in asked) < 0.05 * len(asked)


def test_a_scale_of_ten_is_used_to_its_end(small_world):
    past = history_generator.generate(
        small_world,
        np.arange(300),
        5000,
        HistoryWindow(END_S, 5, RatingScale(1, 10)),
        np.random.default_rng(1),
    )
    assert past.value[past.kind == RATE].max() == 10


def test_a_lowest_rating_of_0_is_given_and_written(small_world):
    window = HistoryWindow(END_S, 5, RatingScale(0, 10))
    users, rng = np.arange(300), np.random.default_rng(1)
    past = history_generator.generate(small_world, users, 5000, window, rng)
    texts = history_format.texts(past, small_world, SERVER, np.random.default_rng(1))
    assert any(line.endswith("=0") for line in texts)
    assert (past.kind == RATE).sum() == sum("GET /rate/" in line for line in texts)


def newcomers(world, count=400, days=10.0):
    grown = GrowingWorld(world, 7).grow(0, count)
    rows = len(world.users) + np.arange(count)
    window = HistoryWindow(END_S, days)
    return grown, history_generator.generate_newcomers(
        grown, rows, window, np.random.default_rng(2)
    )


def test_who_creates_an_account_does_so_once_and_first(small_world):
    _, past = newcomers(small_world)
    created = past.kind == CREATE_ACCOUNT
    assert sorted(past.user[created].tolist()) == list(range(300, 700))
    created_s = dict(zip(past.user[created].tolist(), past.time_s[created].tolist(), strict=True))
    assert all(
        time >= created_s[user]
        for user, time in zip(past.user.tolist(), past.time_s.tolist(), strict=True)
    )
    assert past.time_s.min() >= END_S - 10 * 86_400
    assert past.time_s.max() <= END_S


def test_most_new_users_ask_for_recommendations_within_seconds(small_world):
    _, past = newcomers(small_world)
    created_s = dict(
        zip(past.user[past.kind == CREATE_ACCOUNT].tolist(),
            past.time_s[past.kind == CREATE_ACCOUNT].tolist(), strict=True)
    )  # fmt: skip
    asked = past.kind == RECOMMEND
    at_once = {
        user
        for user, time in zip(past.user[asked].tolist(), past.time_s[asked].tolist(), strict=True)
        if time - created_s[user] <= 10
    }
    assert 0.7 < len(at_once) / 400 < 0.9


def test_a_history_with_new_users_is_in_order_and_no_line_is_printed_twice(small_world, past):
    grown, signed_up = newcomers(small_world)
    both = history_generator.merge(past, signed_up)
    assert len(both) == len(past) + len(signed_up)
    late = np.maximum.accumulate(both.time_s) - both.time_s
    assert late.max() <= 16
    texts = history_format.texts(both, grown, SERVER, np.random.default_rng(1))
    assert len(set(texts)) == len(texts)
    assert sum(line.endswith(",GET /create_account") for line in texts) == 400
    lists = {tuple(row) for row in both.lists[both.value[both.kind == RECOMMEND]].tolist()}
    assert lists == {tuple(row) for one in (past, signed_up) for row in one.lists.tolist()}


def test_local_times_are_what_the_lines_carry(small_world, past):
    clock = LocalClock(ahead_s=-240 * 60)
    utc = history_format.texts(past, small_world, SERVER, np.random.default_rng(1))
    local = history_format.texts(past, small_world, SERVER, np.random.default_rng(1), clock)
    behind = np.timedelta64(240, "m")
    for one, other in zip(utc, local, strict=True):
        (time, rest), (local_time, local_rest) = one.split(",", 1), other.split(",", 1)
        assert rest == local_rest
        assert np.datetime64(time) - behind == np.datetime64(local_time)
