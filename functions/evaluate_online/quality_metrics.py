"""Live quality metrics of lists, from what their users did within the horizon.

    HitRate         share of lists that were hit; see `outcomes`
    WatchFraction   mean share watched of recommended movies that were watched
    MeanRating      mean rating of recommended movies that were rated, on the scale 1 to 5
    Score           mean of place x rating x watched, over every movie that a list's user watched or
                    rated; see below
    Coverage        share of the catalog that was recommended at all; none without a catalog
    Novelty         mean of -log2(share of viewers who watched the movie), bits a recommended movie;
                    viewers are the users of the window who watched any movie
    ResponseTimeMs  mean time until the answer, as the proxy measured it
    ListCostUsd     mean license cost of a list's movies, USD a play; mean over lists
    WatchedCostUsd  mean license cost of recommended movies that were watched
    WatchedCostTotalUsd
                    their sum over the window, each movie of a user once
    Requests        the number of these lists

A cost is the newest that the catalog knows; where it knows none, or an absurd one, the median of
the others (see `movierec.model.license_cost`). Without any cost there are no dollars.

The score of a movie is 1 for places 1-5, 0.8 for 6-10, 0.5 for 11-15, 0.3 for 16-20, and 0.001 if
the list did not have it; times rating / 5; times 0.2 if less than a fifth was watched, 0.6 below a
half, 0.8 below seven tenths, and 1 from there. An unknown factor is 1: of the rating of a movie
that was not rated, and of the share of one that was rated but not watched.

A movie that a user watched after two lists within their horizons counts for both. A metric without
data (no ratings) is None, and is not published.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from functions.evaluate_online.outcomes import OK, Served
from movierec import metrics
from movierec.model import offline_metrics

Array = npt.NDArray[Any]
Metrics = dict[str, float | int | None]

_BEST_RATING: Final = 5
# Costs of a day's 1.7 million lists at once would be 270 MB.
_LISTS_AT_ONCE: Final = 100_000
_PLACE_ENDS: Final = (0, 5, 10, 15, 20)
_PLACE_SCORES: Final = (0.001, 1.0, 0.8, 0.5, 0.3, 0.001)
_WATCHED_ENDS: Final = (0.2, 0.5, 0.7)
_WATCHED_SCORES: Final = (0.2, 0.6, 0.8, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Movies:
    """Facts of each movie; both arrays are (n_movies,)."""

    in_catalog: npt.NDArray[np.bool_]
    catalog_size: int
    surprise_bits: Array
    """Of length 0 without any viewing."""
    cost_usd: Array
    """Of length 0 without any cost."""


def surprise_bits(viewings: pd.DataFrame, n_movies: int) -> Array:
    """Return each movie's -log2 of its share of viewers; `viewings` has user_id and movie."""
    seen = viewings[["user_id", "movie"]].drop_duplicates()
    viewers = seen["user_id"].nunique()
    if not viewers:
        return np.zeros(0)
    return offline_metrics.surprise(np.bincount(seen["movie"], minlength=n_movies), viewers)


def scores(met: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return the score of each encounter, (n,); see the module's docstring."""
    place = np.array(_PLACE_SCORES)[np.searchsorted(_PLACE_ENDS, met["place"], side="left")]
    rating = (met["rating"] / _BEST_RATING).fillna(1).to_numpy()
    share = met["share"].fillna(1)
    watched = np.array(_WATCHED_SCORES)[np.searchsorted(_WATCHED_ENDS, share, side="right")]
    return np.asarray(place * rating * watched)


def measure(served: Served, hit: Array, met: pd.DataFrame, known: Movies) -> Metrics:
    """Return the metrics of all these lists by name; `hit` is (n,), `met` their encounters."""
    on_list = met[met["place"] > 0]
    # Number -1 is no movie; counted with the rest and cut off.
    shown = np.bincount(served.movies.ravel() + 1, minlength=len(known.in_catalog) + 1)[1:]
    values = {
        metrics.REQUESTS: len(hit),
        metrics.HIT_RATE: _mean(hit),
        metrics.WATCH_FRACTION: _mean(on_list["share"].dropna()),
        metrics.MEAN_RATING: _mean(on_list["rating"].dropna()),
        metrics.SCORE: _mean(scores(met)),
        metrics.COVERAGE: _coverage(shown, known),
        metrics.NOVELTY: _novelty(shown, known.surprise_bits),
        metrics.RESPONSE_TIME: _mean(served.rows["latency_ms"].dropna()),
        **_dollars(served, on_list, known.cost_usd),
    }
    return {metric.name: value for metric, value in values.items()}


def _dollars(
    served: Served, on_list: pd.DataFrame, cost_usd: Array
) -> dict[metrics.Metric, float | None]:
    if not len(cost_usd):
        return dict.fromkeys((metrics.LIST_COST, metrics.WATCHED_COST, metrics.WATCHED_COST_TOTAL))
    watched = on_list[on_list["share"].notna()]
    plays = watched.drop_duplicates(["user_id", "movie"])
    dollars = cost_usd[plays["movie"].to_numpy()]
    return {
        metrics.LIST_COST: _mean(_list_costs(served.movies, cost_usd)),
        metrics.WATCHED_COST: _mean(dollars),
        metrics.WATCHED_COST_TOTAL: float(dollars.sum()),
    }


def _list_costs(movies: Array, cost_usd: Array) -> npt.NDArray[np.float64]:
    """Return the mean cost of the movies of each list that has one; `movies` is (n, k)."""
    counts = (movies >= 0).sum(axis=1)
    of_none = np.append(cost_usd, 0)  # at -1, which is no movie
    sums = [
        of_none[movies[start : start + _LISTS_AT_ONCE]].sum(axis=1)
        for start in range(0, len(movies), _LISTS_AT_ONCE)
    ]
    return np.asarray(np.concatenate([np.zeros(0), *sums])[counts > 0] / counts[counts > 0])


def by_version(
    served: Served, hit: Array, met: pd.DataFrame, known: Movies
) -> dict[str, dict[str, Any]]:
    """Return each function version's model and metrics."""
    versions = served.rows["function_version"].astype(str).to_numpy()
    found = {}
    for version in sorted(set(versions.tolist())):
        mine = versions == version
        part, theirs = served.where(mine), met[mine[met["list"].to_numpy()]]
        model = str(part.rows["model_version"].iloc[-1])
        found[version] = {"model_version": model, **measure(part, hit[mine], theirs, known)}
    return found


# The serving model is that of most of the newest lists: the very newest may be a canary's.
_NEWEST: Final = 1000


def serving_model(served: Served) -> str | None:
    """Return the serving model version at the end of the window, None without any list."""
    newest = served.rows.sort_values("served_at", kind="stable")["model_version"].tail(_NEWEST)
    counts = newest.astype(str).value_counts().sort_index()
    return str(counts.idxmax()) if len(counts) else None


def availability(answers: Mapping[int, int]) -> float | None:
    """Return the share of the site's requests with status 200; `answers` by status."""
    everything = sum(answers.values())
    return answers.get(OK, 0) / everything if everything else None


def _coverage(shown: Array, known: Movies) -> float | None:
    if not known.catalog_size:
        return None
    return int(known.in_catalog[shown > 0].sum()) / known.catalog_size


def _novelty(shown: Array, surprise_bits: Array) -> float | None:
    if not len(surprise_bits) or not shown.any():
        return None
    return float((shown * surprise_bits).sum() / shown.sum())


def _mean(values: Any) -> float | None:  # noqa: ANN401  array or series
    return float(np.mean(values)) if len(values) else None
