"""Generate a history of synthetic events over the last days, in columns, sorted by time.

A session is a request for recommendations (sometimes two), a film watched minute by minute,
perhaps its rating, and perhaps a spree of ratings of films seen elsewhere. A user does
one thing at a time and meets a film once, so no two lines are equal: two watch lines of one user
differ in time, two of different users in the user.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from movierec.model.rating_scale import NATIVE, RatingScale
from simulator import preferences
from simulator.event_kinds import KINDS, Kind
from simulator.synthetic_world import World

Array = npt.NDArray[Any]

WATCH: Final = KINDS.index(Kind.WATCH)
RATE: Final = KINDS.index(Kind.RATE)
RECOMMEND: Final = KINDS.index(Kind.RECOMMEND)
CREATE_ACCOUNT: Final = KINDS.index(Kind.CREATE_ACCOUNT)

LIST_LENGTH: Final = 20

_DAY_S: Final = 86_400

# Seconds after a session's start, and after the last watched minute.
_ASKED_AGAIN_S: Final = 20
_WATCH_S: Final = 45
_RATED_S: Final = 15
_SPREE_S: Final = 30
_SPREE_STEP_S: Final = 7
_MAX_SPREE: Final = 16
_PAUSE_S: Final = 60
_AFTER_S: Final = _SPREE_S + _SPREE_STEP_S * _MAX_SPREE + _PAUSE_S

# Together these make the course's mix: 80 to 84% watch lines, 12% ratings, 5% requests.
_RATED_SHARE: Final = 0.4
_NOT_RATED: Final = -1
_SPREE_SHARE: Final = 0.5
_SPREE_MEAN: Final = 8.5
_SECOND_REQUEST_SHARE: Final = 0.45

# Most who sign up ask for recommendations a few seconds later.
FIRST_VISIT_SHARE: Final = 0.8
_SIGNED_UP_S: Final = 4

LINES_A_SESSION: Final = 35
"""Lines that a session leaves in the mean."""

# Best of so many: users choose well what to watch, less well what to rate from memory.
WATCH_CANDIDATES: Final = 3
SPREE_CANDIDATES: Final = 2

# Below this affinity only adult films for minors are found.
_REFUSED: Final = -8.0

_FAILED_SHARE: Final = 0.015
_REPEATED_SHARE: Final = 0.05
_POPULAR: Final = 400
_DIFFERENT_LISTS: Final = 2_000


@dataclass(frozen=True, slots=True)
class History:
    """n lines in time order, but for small inversions; all columns (n,).

    `user` and `film` are rows of the world; `value` is the minute, the rating, or for a request
    the row of `lists` (r, 20), `latency_ms` (r,) and `failed` (r,).
    """

    kind: Array
    time_s: Array
    nanos: Array
    user: Array
    film: Array
    value: Array
    lists: Array
    latency_ms: Array
    failed: Array

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self.kind)


@dataclass(frozen=True, slots=True)
class HistoryWindow:
    """The time that a history covers: `days` before `end_s`, Unix time."""

    end_s: int
    days: float
    scale: RatingScale = NATIVE

    @property
    def start_s(self) -> int:
        """Return its start, Unix time."""
        return self.end_s - self.length_s

    @property
    def length_s(self) -> int:
        """Return its length in seconds."""
        return max(int(self.days * _DAY_S), 1)


def generate(
    world: World, users: Array, lines: int, window: HistoryWindow, rng: np.random.Generator
) -> History:
    """Return at least `lines` lines (and not many more) of these users, (n,) rows."""
    # A pilot tells how many lines a session of these people leaves: 25 to 45.
    count = max(lines // 200, 1)
    sessions = _draw_sessions(world, users, count, window.scale, rng)
    while (planned := sessions.lines) < lines:
        count = int(count * lines / planned * 1.01) + 1
        sessions = _draw_sessions(world, users, count, window.scale, rng)
    return _history_of(world, _parts(sessions, _starts(sessions, window, rng)), rng)


def generate_newcomers(
    world: World, users: Array, window: HistoryWindow, rng: np.random.Generator
) -> History:
    """Return the lines of these users, (n,) rows, who sign up: most of them visit at once."""
    asks = rng.random(len(users)) < FIRST_VISIT_SHARE
    sessions = _Sessions.plan(world, users[asks], window.scale, rng)
    length = np.full(len(users), _AFTER_S)
    length[asks] += _WATCH_S + 60 * sessions.minutes + _SIGNED_UP_S
    latest = np.maximum(window.length_s - length, 0)
    created = window.end_s - length - (rng.random(len(users)) * latest).astype(np.int64)
    none = np.zeros(len(users), np.int64)
    return _history_of(
        world,
        (
            _part(CREATE_ACCOUNT, created, users, none, none),
            *_parts(sessions, created[asks] + _SIGNED_UP_S),
        ),
        rng,
    )


def merge(first: History, second: History) -> History:
    """Return the lines of both in the order in which they reach the log."""
    arrival = [np.maximum.accumulate(one.time_s) for one in (first, second)]
    order = np.argsort(np.concatenate(arrival), kind="stable")
    request = np.where(second.kind == RECOMMEND, len(first.lists), 0)
    columns = {
        name: np.concatenate([getattr(first, name), getattr(second, name)])
        for name in History.__slots__
    }
    columns["value"] = np.concatenate([first.value, second.value + request])
    for name in ("kind", "time_s", "nanos", "user", "film", "value"):
        columns[name] = columns[name][order]
    return History(**columns)


def _draw_sessions(
    world: World, users: Array, count: int, scale: RatingScale, rng: np.random.Generator
) -> "_Sessions":
    """Return `count` sessions of these users, drawn in proportion to activity."""
    running = np.cumsum(world.preferences.activity[users], dtype=np.float64)
    chosen = np.searchsorted(running, rng.random(count) * running[-1])
    user = np.sort(users[np.minimum(chosen, len(users) - 1)])
    return _Sessions.plan(world, user, scale, rng)


def _history_of(world: World, parts: Sequence["_Part"], rng: np.random.Generator) -> History:
    """Return all parts' events, by time."""
    kind, time, user, film, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(time + _delay(len(time), rng), kind="stable")
    requests = int((kind == RECOMMEND).sum())
    return History(
        kind=kind[order],
        time_s=time[order],
        nanos=_nanos(kind[order], rng),
        user=user[order],
        film=film[order],
        value=value[order],
        lists=_popular_lists(world, requests, rng),
        latency_ms=_latencies(requests, rng),
        failed=rng.random(requests) < _FAILED_SHARE,
    )


@dataclass(frozen=True, slots=True)
class _Sessions:
    """s sessions, by user: `film`, `minutes` (0: nothing watched), `rating` (or _NOT_RATED), (s,).

    `again` (s,) says who asks for recommendations twice.

    `spree_of` (p,) is the session of each further rating, `spree_at` its place in the spree.
    """

    user: Array
    film: Array
    minutes: Array
    rating: Array
    again: Array
    spree_of: Array
    spree_at: Array
    spree_film: Array
    spree_rating: Array

    @classmethod
    def plan(
        cls, world: World, user: Array, scale: RatingScale, rng: np.random.Generator
    ) -> "_Sessions":
        hidden = world.preferences
        length = np.where(
            rng.random(len(user)) < _SPREE_SHARE, rng.geometric(1 / _SPREE_MEAN, len(user)), 0
        )
        length = np.minimum(length, _MAX_SPREE)
        spree_of = np.repeat(np.arange(len(user)), length)
        spree_at = np.arange(len(spree_of)) - np.repeat(np.cumsum(length) - length, length)
        film = hidden.pick(user, WATCH_CANDIDATES, rng)
        spree_film = hidden.pick(user[spree_of], SPREE_CANDIDATES, rng)
        first = _first_meetings(user, film, user[spree_of], spree_film, len(world.films))
        affinity, spree_affinity = (
            hidden.affinity(user, film),
            hidden.affinity(user[spree_of], spree_film),
        )
        watched = first[: len(user)] & (affinity > _REFUSED)
        rated = first[len(user) :] & (spree_affinity > _REFUSED)
        last = preferences.last_minutes(affinity, world.films.runtime_minutes[film], rng)
        rating = preferences.ratings(affinity, hidden.rating_bias[user], scale, rng)
        spree_rating = preferences.ratings(
            spree_affinity, hidden.rating_bias[user[spree_of]], scale, rng
        )
        return cls(
            user=user,
            film=film,
            minutes=np.where(watched, last + 1, 0),
            rating=np.where(watched & (rng.random(len(user)) < _RATED_SHARE), rating, _NOT_RATED),
            again=rng.random(len(user)) < _SECOND_REQUEST_SHARE,
            spree_of=spree_of[rated],
            spree_at=spree_at[rated],
            spree_film=spree_film[rated],
            spree_rating=spree_rating[rated],
        )

    @property
    def lines(self) -> int:
        """Return how many lines the sessions leave in the log."""
        asked = len(self.user) + int(self.again.sum())
        rated = int((self.rating != _NOT_RATED).sum()) + len(self.spree_of)
        return asked + rated + int(self.minutes.sum())


def _first_meetings(
    user: Array, film: Array, spree_user: Array, spree_film: Array, films: int
) -> Array:
    """Return for sessions, then sprees, whether it is the user's first time with the film."""
    pair = np.concatenate([user, spree_user]).astype(np.int64) * films
    pair += np.concatenate([film, spree_film])
    first = np.zeros(len(pair), np.bool_)
    first[np.unique(pair, return_index=True)[1]] = True
    return first


def _starts(sessions: _Sessions, window: HistoryWindow, rng: np.random.Generator) -> Array:
    """Return when each session starts: evenings first, none before the user's last has ended.

    Counted backwards from the window's end, so that all have ended by then. A user with more
    sessions than fit into the window starts before it.
    """
    user, length = sessions.user, _WATCH_S + 60 * sessions.minutes + _AFTER_S
    days = np.ceil(window.length_s / _DAY_S)
    midnight = window.end_s - window.end_s % _DAY_S - _DAY_S * rng.integers(0, days, len(user))
    evening = midnight + (rng.normal(19.5, 4.5, len(user)) % 24 * 3600).astype(np.int64)
    before = (window.end_s - evening) % window.length_s
    order = np.lexsort((before, user))
    length_then, rank = length[order], np.unique(user, return_inverse=True)[1][order]
    # One after the other: before_i' = max over j <= i of (before_j + what lies between), by a
    # running maximum, in which a user's rank lifts her or his sessions above all others'.
    lift = rank.astype(np.int64) << 40
    between = np.cumsum(length_then) - length_then
    settled = np.maximum.accumulate(before[order] - between + lift) - lift + between
    start = np.empty(len(user), np.int64)
    start[order] = window.end_s - settled - length_then
    return start


_Part = tuple[Array, Array, Array, Array, Array]


def _parts(sessions: _Sessions, start: Array) -> Sequence[_Part]:
    """Return the sessions' events, each kind for itself."""
    return (
        _requests(sessions, start),
        _views(sessions, start),
        _own_ratings(sessions, start),
        _sprees(sessions, start),
    )


def _part(kind: int, time: Array, user: Array, film: Array, value: Array) -> _Part:
    return np.full(len(time), kind, np.uint8), time, user, film, value


def _requests(sessions: _Sessions, start: Array) -> _Part:
    again = np.flatnonzero(sessions.again)
    time = np.concatenate([start, start[again] + _ASKED_AGAIN_S])
    user = np.concatenate([sessions.user, sessions.user[again]])
    return _part(RECOMMEND, time, user, np.zeros(len(time), np.int64), np.arange(len(time)))


def _views(sessions: _Sessions, start: Array) -> _Part:
    of = np.repeat(np.arange(len(start)), sessions.minutes)
    first = np.cumsum(sessions.minutes) - sessions.minutes
    minute = np.arange(len(of)) - first[of]
    time = start[of] + _WATCH_S + 60 * minute
    return _part(WATCH, time, sessions.user[of], sessions.film[of], minute)


def _own_ratings(sessions: _Sessions, start: Array) -> _Part:
    of = np.flatnonzero(sessions.rating != _NOT_RATED)
    time = start[of] + _WATCH_S + 60 * sessions.minutes[of] + _RATED_S
    return _part(RATE, time, sessions.user[of], sessions.film[of], sessions.rating[of])


def _sprees(sessions: _Sessions, start: Array) -> _Part:
    of = sessions.spree_of
    time = start[of] + _WATCH_S + 60 * sessions.minutes[of] + _SPREE_S
    time += _SPREE_STEP_S * sessions.spree_at
    return _part(RATE, time, sessions.user[of], sessions.spree_film, sessions.spree_rating)


def _delay(count: int, rng: np.random.Generator) -> Array:
    """Return how much later each line reaches the log, s: mostly a second, sometimes 15."""
    return np.where(rng.random(count) < 0.01, rng.uniform(0, 15, count), rng.random(count))  # noqa: PLR2004


def _nanos(kind: Array, rng: np.random.Generator) -> Array:
    """Return fractions of a second: requests and sign-ups have 3, 6 or 9 digits, others none."""
    unit = rng.choice([1_000_000, 1_000, 1], len(kind), p=[0.4, 0.5, 0.1])
    nanos = (rng.random(len(kind)) * (1_000_000_000 // unit)).astype(np.int64) * unit
    return np.where(np.isin(kind, (RECOMMEND, CREATE_ACCOUNT)), nanos, 0)


def _popular_lists(world: World, count: int, rng: np.random.Generator) -> Array:
    """Return lists (count, 20) as an earlier recommender made them: the popular, shuffled.

    Some hold a film twice, as the site's lists do. Gumbel noise on log-weights draws without
    replacement in proportion to the weights (Kool, van Hoof & Welling 2019).
    """
    weight = np.where(world.films.adult, 0, world.preferences.popularity)
    pool = np.argsort(weight)[::-1][: min(_POPULAR, len(weight))]
    made = max(min(_DIFFERENT_LISTS, count), 1)
    key = np.log(weight[pool] + 1e-9) + rng.gumbel(size=(made, len(pool)))
    different = pool[np.argsort(-key, axis=1)[:, :LIST_LENGTH]]
    lists = different[rng.integers(0, made, count)]
    twice = np.flatnonzero(rng.random(count) < _REPEATED_SHARE)
    lists[twice, lists.shape[1] // 2] = lists[twice, 0]
    return np.asarray(lists)


def _latencies(count: int, rng: np.random.Generator) -> Array:
    """Return latencies in ms, around 80, with a tail up to the site's limit."""
    return np.clip(rng.lognormal(4.4, 0.5, count), 1, 799).astype(np.int64)
