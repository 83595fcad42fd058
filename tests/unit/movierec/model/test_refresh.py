"""A refresh gives what a data set of all events and a fold-in of everybody would give."""

from dataclasses import replace

import numpy as np
import pytest

from movierec.model import dataset as datasets
from movierec.model import overlay, refresh, segments
from movierec.model.dataset_parameters import Parameters
from movierec.model.fitted import Exclusions, top_of
from movierec.model.fold_in import FoldIn, Prior
from movierec.model.new_places import NewMovies
from movierec.model.overlay import REASONS
from movierec.model.popularity import Popularity
from movierec.model.ranking import compact
from movierec.model.recent import Recent, histories, pack, unpack
from movierec.model.refresh import Base, Changes, State
from movierec.model.segments import MINORS
from movierec.model.sparse_rows import SparseRows
from tests.unit.movierec.model.svd_model import SvdModel
from tests.unit.movierec.model.watchers import MINUTES, N_MOVIES, N_USERS, events

PARAMETERS = Parameters(min_movie_users=1)
RUNTIMES = np.full(N_MOVIES, MINUTES)
SPLIT = 1000
NONE = np.zeros(0, np.int64)


def built(some):
    return datasets.build(some.evidence(), PARAMETERS)


@pytest.fixture(scope="module")
def base():
    dataset = built(events().between(0, SPLIT))
    everything = np.ones(len(dataset.movies), bool)
    factors = SvdModel(dataset, everything, rank=5).factors
    popularity = Popularity.by_group(dataset).scores
    fold_in = FoldIn(factors.movies.astype(np.float32), 0.5)
    return Base(dataset, PARAMETERS, fold_in, 3.0, popularity)


def changes(some, *, users=None, movie_ids=(), withdrawn=()):
    """Return changes with these events; `users` are those who are refreshed, by default theirs."""
    recent = some.recent() if some else Recent.empty()
    users = np.unique(recent.users) if users is None else np.array(users)
    ages, genders = 9 + users, np.array(["M", "F"])[users % 2]
    n = N_MOVIES + len(movie_ids)
    return Changes(
        recent=recent,
        users=users,
        groups=segments.group_of(ages, genders.tolist()),
        movie_ids=movie_ids,
        runtimes_minutes=np.full(n, MINUTES),
        adult=np.arange(n) % 7 == 3,
        withdrawn=frozenset(withdrawn),
    )


def row(found, user):
    """Return a user's list as indices."""
    place = found.overlay.row_of(user)
    listed = found.overlay.topk[place].tolist()
    return [m for m in listed if m != np.iinfo(found.overlay.topk.dtype).max]


def both_histories(some):
    """Return the strengths of data set and `Recent` together, and of a data set of all events."""
    full, recent = built(some), some.between(SPLIT, 10**9).recent()
    before = built(some.between(0, SPLIT))
    found = histories(full.user_ids, recent, before, PARAMETERS, RUNTIMES)
    assert found.seen.indptr.tolist() == full.indptr.tolist()
    assert found.seen.columns.tolist() == full.movies.tolist()
    return found.strength, full.strength


@pytest.mark.parametrize("seed", range(5))
def test_histories_are_those_of_a_data_set_of_all_events(seed):
    """Where nothing was left early or rated badly before."""
    some = events(seed)
    some = replace(some, minute=np.where(some.minute >= 0, np.maximum(some.minute, 10), -1))
    found, full = both_histories(some)
    np.testing.assert_allclose(found, full, atol=2e-6)


def test_what_was_left_early_or_rated_badly_before_is_nearly_so():
    found, full = both_histories(events(1, ratings=(0, 1, 2, 4, 5)))
    same = np.isclose(found, full, atol=2e-6)
    assert 0.95 < same.mean() < 1


def test_a_refresh_equals_a_full_recomputation(base):
    found = refresh.refreshed(base, State.first(), changes(events().between(SPLIT, 10**9)))
    full = built(events())
    groups = segments.groups_of(full.user_ids, full.user_groups)
    exclusions = Exclusions(
        SparseRows(full.indptr, full.movies),
        np.asarray(MINORS)[groups],
        np.flatnonzero(full.adult),
    )
    liked = exclusions.seen.where(full.strength > 0)
    strength = full.strength[full.strength > 0]
    factors = base.fold_in.factors(liked, 1 + 3.0 * strength)
    everybody = np.arange(len(full.user_ids))
    lists = top_of(lambda rows: factors[rows] @ base.fold_in.movies.T, everybody, 50, exclusions)
    wanted = compact(lists, lists >= 0, k=50, dtype=np.dtype(np.uint16))
    rows = np.searchsorted(full.user_ids, found.overlay.user_ids)
    assert len(rows) == len(np.unique(events().between(SPLIT, 10**9).user))
    assert (found.overlay.topk == wanted[rows]).mean() > 0.999
    assert set(found.overlay.reasons.tolist()) == {REASONS.index("fold_in")}


def test_many_small_refreshes_end_where_one_does(base):
    state = State.first()
    for first in range(SPLIT, 1501, 50):
        state = refresh.refreshed(base, state, changes(events().between(first, first + 50)))
    once = refresh.refreshed(base, State.first(), changes(events().between(SPLIT, 10**9)))
    assert overlay.pack(state.overlay) == overlay.pack(once.overlay)
    assert pack(state.recent) == pack(once.recent)
    assert pack(unpack(pack(once.recent))) == pack(once.recent)


def test_the_same_events_twice_change_nothing(base):
    """A run that was cut off after its overlay reads its events again."""
    some = changes(events().between(SPLIT, 10**9))
    once = refresh.refreshed(base, State.first(), some)
    assert overlay.pack(refresh.refreshed(base, once, some).overlay) == overlay.pack(once.overlay)


def test_what_was_watched_is_in_no_list_and_minors_get_no_adult_movie(base):
    found = refresh.refreshed(base, State.first(), changes(events().between(SPLIT, 10**9)))
    for user in found.overlay.user_ids.tolist():
        listed = row(found, user)
        assert listed
        assert not set(listed) & set(events().movie[events().user == user].tolist())
        minor = MINORS[found.overlay.groups[found.overlay.row_of(user)]]
        assert not (minor and any(m % 7 == 3 for m in listed))


def test_a_new_user_without_events_gets_the_groups_list(base):
    new = N_USERS + 5
    found = refresh.refreshed(base, State.first(), changes(None, users=[new]))
    order = np.argsort(-base.popularity[found.overlay.groups[0]], kind="stable").tolist()
    assert row(found, new) == order
    assert found.overlay.reasons.tolist() == [REASONS.index("group")]
    again = refresh.refreshed(base, found, changes(replace_user(new)))
    assert again.overlay.reasons.tolist() == [REASONS.index("fold_in")]


def replace_user(user):
    some = events(3, 30)
    return replace(some, user=np.full(len(some.user), user))


def test_events_of_a_movie_that_came_since_are_kept_and_wait_for_factors(base):
    some = events(4, 10)
    some = replace(some, user=np.full(10, 7), movie=np.full(10, N_MOVIES))
    late = changes(None, users=[7], movie_ids=("late",))
    recent = Recent(
        some.user[-1:], some.movie[-1:], some.minute[-1:], some.rating[-1:], some.at[-1:]
    )
    found = refresh.refreshed(base, State.first(), replace(late, recent=recent))
    assert found.recent.movies.tolist() == [N_MOVIES]
    assert N_MOVIES not in row(found, 7)
    assert found.overlay.movie_ids == ("late",)


def test_withdrawn_titles_come_with_the_overlay(base):
    found = refresh.refreshed(base, State.first(), changes(None, users=NONE, withdrawn=["m03"]))
    assert found.overlay.withdrawn == frozenset({"m03"})
    assert len(found.overlay.user_ids) == 0


def wrote(some, seed=0):
    """Return changes of users of whom each second wrote something."""
    n, rng = len(some.users), np.random.default_rng(seed)
    described = rng.normal(size=(n, 5)).astype(np.float32)
    described[::2] = 0
    return replace(some, described=described, texts=np.arange(n, dtype=np.uint64))


def test_with_texts_and_groups_a_refresh_equals_a_full_recomputation(base):
    means = np.random.default_rng(1).normal(size=(len(MINORS), 5)).astype(np.float32)
    base = replace(base, group_means=means)
    given = wrote(changes(events().between(SPLIT, 10**9)))
    found = refresh.refreshed(base, State.first(), given)
    full = built(events())
    rows = np.searchsorted(full.user_ids, given.users)
    liked = SparseRows(full.indptr, full.movies).where(full.strength > 0)
    strength = full.strength[full.strength > 0][liked.entries(rows).columns]
    spoken = given.described.any(axis=1)
    prior = Prior(
        np.where(spoken[:, None], given.described, means[given.groups]),
        np.where(spoken, refresh.DESCRIPTION_WEIGHT, refresh.GROUP_WEIGHT),
    )
    factors = base.fold_in.factors(liked.take(rows), 1 + 3.0 * strength, prior)
    exclusions = Exclusions(
        SparseRows(full.indptr, full.movies).take(rows),
        np.asarray(MINORS)[given.groups],
        np.flatnonzero(full.adult),
    )
    lists = top_of(
        lambda some: factors[some] @ base.fold_in.movies.T, np.arange(len(rows)), 50, exclusions
    )
    wanted = compact(lists, lists >= 0, k=50, dtype=np.dtype(np.uint16))
    assert (found.overlay.topk == wanted).mean() > 0.999
    assert found.texts.tolist() == given.texts.tolist()
    again = refresh.unpack(refresh.pack(found), N_MOVIES)
    assert again.texts.tolist() == found.texts.tolist()


def test_a_text_alone_ranks_by_its_factors_and_keeps_the_rules(base):
    new = np.arange(N_USERS + 1, N_USERS + 21)
    found = refresh.refreshed(base, State.first(), wrote(changes(None, users=new)))
    given = wrote(changes(None, users=new))
    for place, user in enumerate(new.tolist()):
        minor = MINORS[given.groups[place]]
        scores = base.fold_in.movies @ given.described[place]
        if place % 2 == 0:
            assert found.overlay.reasons[place] == REASONS.index("group")
            continue
        assert found.overlay.reasons[place] == REASONS.index("description")
        order = [m for m in np.argsort(-scores).tolist() if not (minor and m % 7 == 3)]
        assert row(found, user) == order


def test_new_movies_take_their_places_and_keep_the_rules(base):
    new = np.arange(N_USERS + 1, N_USERS + 41)
    names = tuple(f"new{n}" for n in range(14))
    given = wrote(changes(None, users=new, movie_ids=names))
    rng = np.random.default_rng(2)
    movies = NewMovies(
        movies=np.arange(N_MOVIES, N_MOVIES + 14, dtype=np.int32),
        factors=rng.normal(size=(14, 5)).astype(np.float32),
        known=rng.normal(size=(50, 5)).astype(np.float32),
        adult=given.adult[N_MOVIES:],
        places=2,
    )
    found = refresh.refreshed(base, State.first(), replace(given, new=movies))
    without = refresh.refreshed(base, State.first(), given)
    shown = set()
    for place, user in enumerate(new.tolist()):
        listed = row(found, user)
        placed = [m for m in listed if m >= N_MOVIES]
        assert len(placed) <= 2
        assert len(set(listed)) == len(listed)
        assert [m for m in listed if m < N_MOVIES] == row(without, user)
        assert not (MINORS[given.groups[place]] and any(m % 7 == 3 for m in placed))
        assert all(listed.index(m) in (9, 10, 19) for m in placed)
        shown |= set(placed)
    assert len(shown) > 4
