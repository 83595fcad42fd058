"""The newest interactions are kept, the same ones whatever the batches."""

import numpy as np
import pytest

from functions.build_dataset.newest import NewestInteractions

N_USERS, N_MOVIES = 30, 12


def interactions(seed):
    """Return columns of watched and rated interactions; many end in the same second."""
    rng = np.random.default_rng(seed)
    found = []
    for name, n in (("minutes", 200), ("ratings", 80)):
        pairs = rng.choice(N_USERS * N_MOVIES, n, replace=False)
        found.append(
            {
                "user_ids": 10**15 + pairs // N_MOVIES,
                "movies": (pairs % N_MOVIES).astype(np.int32),
                name: rng.integers(1, 6, n),
                "last_at": rng.integers(1_700_000_000, 1_700_000_020, n).astype(np.uint32),
            }
        )
    return found


def rows(columns):
    return set(zip(*(columns[name].tolist() for name in columns), strict=True))


def expected(watched, rated, most):
    """Return the pairs to keep, by sorting all of them."""
    last: dict[tuple[int, int], int] = {}
    for part in (watched, rated):
        for user, movie, at in zip(
            part["user_ids"].tolist(),
            part["movies"].tolist(),
            part["last_at"].tolist(),
            strict=True,
        ):
            last[user, movie] = max(at, last.get((user, movie), 0))
    return set(sorted(last, key=lambda pair: (-last[pair], pair))[:most]), len(last)


@pytest.mark.parametrize("batches", [1, 2, 7])
@pytest.mark.parametrize("most", [1, 57, 150, 500])
@pytest.mark.parametrize("slack", [0, 20, 1000])
def test_the_newest_pairs_are_kept_with_all_of_their_events(batches, most, slack):
    watched, rated = interactions(seed=most + batches)
    newest = NewestInteractions(most, trims=True, slack=slack)
    for batch in range(batches):
        newest.add(
            *(
                {name: values[part["user_ids"] % batches == batch] for name, values in part.items()}
                for part in (watched, rated)
            )
        )
    kept, total = expected(watched, rated, most)
    found = newest.kept()
    for part, all_of_it in zip(found, (watched, rated), strict=True):
        wanted = {row for row in rows(all_of_it) if row[:2] in kept}
        assert rows(part) == wanted
        assert list(part) == list(all_of_it)
    assert newest.older == total - len(kept)


def test_no_more_than_cap_and_slack_are_held_at_once():
    newest = NewestInteractions(50, trims=True, slack=10)
    for batch in range(40):
        watched, rated = interactions(seed=batch)
        for part in (watched, rated):
            part["user_ids"] = part["user_ids"] + 1000 * batch
        newest.add(watched, rated)
        assert sum(len(p["user_ids"]) for p in (*newest._watched, *newest._rated)) <= 50 * 2 + 10


@pytest.mark.parametrize("empty", [0, 1])
def test_a_kind_without_events_is_none_of_the_newest(empty):
    both = interactions(seed=1)
    both[empty] = {name: values[:0] for name, values in both[empty].items()}
    newest = NewestInteractions(20, trims=True, slack=0)
    newest.add(*both)
    assert [len(part["user_ids"]) for part in newest.kept()] == [20 * empty, 20 * (1 - empty)]


def test_without_a_trim_all_are_kept_in_their_order():
    watched, rated = interactions(seed=1)
    newest = NewestInteractions(1000, trims=False, slack=0)
    newest.add(watched, rated)
    for part, given in zip(newest.kept(), (watched, rated), strict=True):
        for name, values in given.items():
            np.testing.assert_array_equal(part[name], values)
