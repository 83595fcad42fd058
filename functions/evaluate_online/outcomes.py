"""Outcomes of served lists: hits, and the trials of a release's sequential test.

Pure: frames in, arrays out. Times are whole microseconds since 1970, movies are numbers of one
codebook; -1 is no movie.

Attributed
    A list belongs to a function version if it has status 200, is from the model or the version's
    popular list, and names its version. The proxy's own lists (source `fallback`) belong to no
    version and are left out here: a version that fails or is slow shows in the canary's alarms and
    in availability, not in these numbers.

Hit
    The user watches a movie of the list between `served_at` - 1 s and `served_at` + horizon. The
    log truncates to seconds: an event right after the list may have a time up to 1 s before it.

Finished
    A list counts once its horizon is over at the watermark, hit or not. If hits counted at once,
    they would come in early and misses late: a bias.

Trial
    A window of one horizon belongs to a user. It is opened by the user's first attributed list of
    the stable version or the canary since the last window ended (or since the evaluated span
    began, whose start is fixed in a release), and that list is the trial. Lists inside the window,
    from either version, are no trials of their own: they compete for the same viewing. The window
    belongs to the version that opened it (intention to treat). Where the other version also served
    in it, the window is mixed: that attenuates a difference and never creates one, since the alias
    alone randomizes which version opens a window.

Weight
    A trial's weight is the share of requests that the alias routed to the canary at `served_at`.
    Left out of the verdict, not of the metrics, are trials from before the first weight, within
    `settle_s` of a change (an alias update takes effect gradually, and two clocks are compared),
    and at shares of 0 and 1, which are not randomized.

Viewing
    The watch lines of one user and movie in one time slot, a horizon long, aggregated: first and
    last line, and the share of the movie watched, by the furthest minute. A slot is no longer than
    a list's window, so one of its lines is in that window if and only if its first or last line
    is: hits are exact. The share includes minutes of the slot outside of the window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from movierec.releases.sequential_test import Trials

Array = npt.NDArray[Any]

OK: Final = 200
SOURCES: Final = ("model", "popular")

# The log's resolution; see "Hit".
_LOG_SECOND_US: Final = 1_000_000

# Lists compared with movies at a time: 80 MB of them.
_AT_A_TIME: Final = 1_000_000


def us(seconds: float) -> int:
    """Return seconds as whole microseconds."""
    return round(seconds * 1_000_000)


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """Lists ordered by user, then time, then `number`.

    `rows` has user_id, served_at, number (distinguishes lists of one user and moment),
    function_version, model_version, source, status, latency_ms; `movies` is (n, k), best first, -1
    where a list is shorter.
    """

    rows: pd.DataFrame
    movies: Array

    @classmethod
    def attributed(cls, rows: pd.DataFrame, movies: Array) -> Self:
        """Return the attributed lists, of rows in any order; see the module's docstring."""
        mine = (
            (rows["status"] == OK) & rows["source"].isin(SOURCES) & (rows["function_version"] != "")
        )
        kept = rows.assign(at=np.arange(len(rows)))[mine]
        kept = kept.sort_values(["user_id", "served_at", "number"])
        return cls(kept.drop(columns="at").reset_index(drop=True), movies[kept["at"].to_numpy()])

    def where(self, keep: Array) -> "Served":
        """Return the lists marked in `keep`, (n,) bool."""
        return Served(self.rows[keep].reset_index(drop=True), self.movies[keep])

    def finished(self, until: int, horizon_s: float) -> npt.NDArray[np.bool_]:
        """Return whether each list's horizon is over at the watermark, (n,)."""
        ends = self.rows["served_at"].to_numpy() + us(horizon_s)
        return np.asarray(ends <= until)


class _SortedIndex:
    """Finds a user's lists between two times, for many users at once.

    Users and times are replaced by their ranks, so that one integer holds both.
    """

    def __init__(self, users: Array, times: Array) -> None:
        """Index (n,) arrays ordered by user, then time."""
        self._users = np.unique(users)
        self._times = np.sort(times)
        self._keys = self._key(users, times, "left")

    def _key(self, users: Array, times: Array, side: Any) -> Array:  # noqa: ANN401  numpy's literal
        user = np.searchsorted(self._users, users).astype(np.int64)
        return user * (len(self._times) + 1) + np.searchsorted(self._times, times, side=side)

    def first_from(self, users: Array, times: Array) -> Array:
        """Return the index of each user's first list at or after a time; past the end if none."""
        return np.searchsorted(self._keys, self._key(users, times, "left"))

    def between(self, users: Array, since: Array, until: Array) -> tuple[Array, Array]:
        """Return pairs of indices (into the arguments, into the lists), both times included."""
        known = np.flatnonzero(np.isin(users, self._users))
        begins = self.first_from(users[known], since[known])
        ends = np.searchsorted(self._keys, self._key(users[known], until[known], "right"))
        counts = np.maximum(ends - begins, 0)
        each = np.repeat(np.arange(len(known)), counts)
        within = np.arange(len(each)) - np.repeat(np.cumsum(counts) - counts, counts)
        return known[each], begins[each] + within


def encounters(
    served: Served, viewings: pd.DataFrame, ratings: pd.DataFrame, horizon_s: float
) -> pd.DataFrame:
    """Return a row for each list and movie that its user watched or rated within its horizon.

    `viewings` has user_id, movie, first, last, share; `ratings` has user_id, movie, at, rating;
    both in any order. Columns: list (row of `served`), user_id, movie, share (the largest, NaN if
    only rated), rating (the last, NaN if only watched), place (rank in the list from 1; 0: not on
    it).
    """
    index = _SortedIndex(served.rows["user_id"].to_numpy(), served.rows["served_at"].to_numpy())
    watched = _placed(index, viewings, ("first", "last"), us(horizon_s))
    watched = watched.groupby(["list", "movie"])["share"].max().reset_index()
    rated = _placed(index, ratings, ("at", "at"), us(horizon_s))
    # Of two ratings of a movie within one second the higher, so that the order does not matter.
    rated = rated.sort_values(["at", "rating"]).drop_duplicates(["list", "movie"], keep="last")
    met = watched.merge(rated[["list", "movie", "rating"]], "outer", on=["list", "movie"])
    lists = met["list"].to_numpy()
    return met.assign(
        user_id=served.rows["user_id"].to_numpy()[lists],
        place=_places(served.movies, lists, met["movie"].to_numpy()),
    )


def _placed(
    index: _SortedIndex, rows: pd.DataFrame, span: tuple[str, str], horizon_us: int
) -> pd.DataFrame:
    """Return the rows, once for each list whose window has their first or last line."""
    first, last = (rows[name].to_numpy() for name in span)
    # first in [served - 1 s, served + horizon], or last: one interval, as last - first < horizon.
    row, list_ = index.between(
        rows["user_id"].to_numpy(), first - horizon_us, last + _LOG_SECOND_US
    )
    return rows.iloc[row].assign(list=list_)


def _places(movies: Array, lists: Array, wanted: Array) -> npt.NDArray[np.int64]:
    """Return a movie's rank in a list, from 1; 0 if it is not in it. `movies` is (n, k)."""
    places = np.zeros(len(lists), np.int64)
    for begin in range(0, len(lists), _AT_A_TIME):
        part = slice(begin, begin + _AT_A_TIME)
        same = movies[lists[part]] == wanted[part, None]
        places[part] = np.where(same.any(axis=1), same.argmax(axis=1) + 1, 0)
    return places


def hits(n_lists: int, met: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return whether a movie of each list was watched, (n_lists,)."""
    hit = np.zeros(n_lists, np.bool_)
    hit[met["list"].to_numpy()[(met["place"] > 0) & met["share"].notna()]] = True
    return hit


# Trials -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Weights:
    """The canary's share of requests over time; times ascend."""

    times: Sequence[int]
    percents: Sequence[float]

    def at(self, times: Array) -> npt.NDArray[np.float64]:
        """Return the share in force at each time, 0 to 1; NaN before the first."""
        shares = np.concatenate(([np.nan], np.asarray(self.percents, np.float64) / 100))
        return np.asarray(shares[np.searchsorted(self.times, times, side="right")])

    def settled(self, times: Array, settle_s: float) -> npt.NDArray[np.bool_]:
        """Return whether each time is `settle_s` or more away from any change."""
        # Setting the same weight again is no change.
        changes = np.asarray(self.times)[np.diff(self.percents, prepend=np.nan) != 0]
        distance = np.full(len(times), np.inf)
        for change in changes.tolist():
            distance = np.minimum(distance, np.abs(times - change))
        return np.asarray(distance >= us(settle_s))


@dataclass(frozen=True, slots=True)
class Experiment:
    """Two function versions and the traffic split between them over time."""

    stable: str
    canary: str
    weights: Weights
    settle_s: float


@dataclass(frozen=True, slots=True, eq=False)
class TrialSet:
    """The trials in order of time, and the number of their windows that are mixed."""

    trials: Trials
    mixed: int


NO_TRIALS: Final = TrialSet(
    Trials(canary=np.zeros(0, np.bool_), hit=np.zeros(0, np.bool_), weight=np.zeros(0)), 0
)


def trials(
    served: Served, hit: Array, experiment: Experiment, *, until: int, horizon_s: float
) -> TrialSet:
    """Return the experiment's trials that are finished at the watermark.

    `served` is of any versions, `hit` is (n,) for its lists.
    """
    versions = (
        served.rows["function_version"].isin([experiment.stable, experiment.canary]).to_numpy()
    )
    lists, hit = served.where(versions), hit[versions]
    at = lists.rows["served_at"].to_numpy()
    canary = (lists.rows["function_version"] == experiment.canary).to_numpy()
    opens, mixed = _windows(lists.rows["user_id"].to_numpy(), at, canary, us(horizon_s))
    share = experiment.weights.at(at)
    by_chance = (share > 0) & (share < 1) & experiment.weights.settled(at, experiment.settle_s)
    chosen = np.flatnonzero(opens & by_chance & lists.finished(until, horizon_s))
    chosen = chosen[np.argsort(at[chosen], kind="stable")]
    found = Trials(canary=canary[chosen], hit=hit[chosen], weight=share[chosen])
    return TrialSet(found, int(mixed[chosen].sum()))


def _windows(
    users: Array, at: Array, canary: Array, horizon_us: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which lists open a window, and which windows are mixed; all are (n,).

    Lists are ordered by user and time. The first windows of all users are found at once, then all
    second ones, and so on.
    """
    following = _SortedIndex(users, at).first_from(users, at + horizon_us)
    # Past a user's last list is the next user's first.
    following = np.minimum(following, np.searchsorted(users, users, side="right"))
    opens = np.zeros(len(users), np.bool_)
    now = np.unique(users, return_index=True)[1]
    while len(now):
        opens[now] = True
        before, now = now, following[now]
        there = now < len(users)
        before, now = before[there], now[there]
        now = now[users[now] == users[before]]
    by_canary = np.concatenate(([0], np.cumsum(canary)))
    own, all_ = by_canary[following] - by_canary[:-1], following - np.arange(len(users))
    return opens, (own > 0) & (own < all_)
