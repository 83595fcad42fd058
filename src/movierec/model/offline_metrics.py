"""Offline metrics of recommendations, from what users did in the held-out time.

Ranking metrics compare a list of k movies with the movies that its user then liked; rating metrics
use the movies that were rated. DEFINITIONS has each one's formula.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

DEFINITIONS: Final[Mapping[str, str]] = {
    "recall": "mean over users of the share of the user's liked movies that are in the list",
    "ndcg": (
        "mean over users of the discounted cumulative gain over the best one possible; gains 0 and"
        " 1, discount 1 / log2(rank + 1) (Järvelin & Kekäläinen 2002)"
    ),
    "map": (
        "mean over users of average precision: the sum of hits so far / rank over the ranks of"
        " hits, divided by min(liked movies, k)"
    ),
    "mrr": "mean over users of 1 / rank of the first liked movie, 0 where the list has none",
    "hit_rate": "share of users whose list has a liked movie",
    "novelty": (
        "mean over users and movies of the list of -log2(share of users who have seen the movie),"
        " in bits (Zhou et al. 2010)"
    ),
    "coverage": "share of the catalog that is in at least one list",
    "gini": (
        "Gini coefficient of the number of lists that each movie of the catalog is in: 0 where all"
        " are in equally many, towards 1 where few have all places"
    ),
    "diversity": (
        "mean over lists of 1 - mean cosine of its pairs of movies, each a vector of who has seen"
        " it in TRAIN (Ziegler et al. 2005); samples: see movierec.model.list_diversity"
    ),
    "mean_hit_rating": "mean held-out rating of movies that were in the list",
    "rating_concordance": (
        "share of a user's pairs of held-out movies with different ratings that the scores order"
        " the same way, ties a half; 0.5 is chance"
    ),
}

MIN_GROUP_USERS: Final = 30
"""The standard error of fewer users' mean is itself not known well: they are not judged."""

RANKING_METRICS = ("recall", "ndcg", "map", "mrr", "hit_rate", "novelty")


@dataclass(frozen=True, slots=True, eq=False)
class PerUser:
    """Ranking metrics of each user, each (n_users,) float64; see DEFINITIONS."""

    recall: Array
    ndcg: Array
    map: Array
    mrr: Array
    hit_rate: Array
    novelty: Array


def hits(lists: Array, rows: Array, items: Array, n_items: int) -> npt.NDArray[np.bool_]:
    """Return where a list holds one of its user's items, (n_users, k).

    `lists` is (n_users, k), -1 where a list is shorter; `rows` and `items` are (n,), the user's
    row in `lists` and the item, in any order.
    """
    users = np.arange(len(lists), dtype=np.int64)[:, None]
    wanted = _is_in(users * n_items + lists, rows.astype(np.int64) * n_items + items)
    return wanted & (lists >= 0)


def _is_in(values: Array, wanted: Array) -> npt.NDArray[np.bool_]:
    """Return np.isin of numbers that nearly ascend: a tenth of its time."""
    if not len(wanted):
        return np.zeros(values.shape, np.bool_)
    ascending = np.sort(wanted)
    places = np.searchsorted(ascending, values)
    return np.asarray(ascending[np.minimum(places, len(ascending) - 1)] == values)


def per_user(lists: Array, rows: Array, items: Array, surprise_bits: Array) -> PerUser:
    """Compute the ranking metrics of one list a user, who has at least one item; see `hits`.

    `surprise_bits` is (n_items,), see `surprise`.
    """
    hit = hits(lists, rows, items, len(surprise_bits))
    relevant = np.bincount(rows, minlength=len(lists))
    ranks = np.arange(1, lists.shape[1] + 1)
    discounts = 1 / np.log2(ranks + 1)
    possible = np.minimum(relevant, lists.shape[1])
    precision = np.cumsum(hit, axis=1) / ranks
    listed = lists >= 0
    bits = np.where(listed, surprise_bits[lists], 0).sum(axis=1)
    return PerUser(
        recall=hit.sum(axis=1) / relevant,
        ndcg=(hit @ discounts) / np.cumsum(discounts)[possible - 1],
        map=(precision * hit).sum(axis=1) / possible,
        mrr=(hit / ranks).max(axis=1, initial=0.0),
        hit_rate=hit.any(axis=1).astype(np.float64),
        novelty=bits / np.maximum(listed.sum(axis=1), 1),
    )


def surprise(seen_counts: Array, n_users: int) -> Array:
    """Return -log2 of the share of users who have seen each item; an unseen one counts as one."""
    return np.asarray(-np.log2(np.maximum(seen_counts, 1) / n_users))


def concatenate(parts: list[PerUser]) -> PerUser:
    """Concatenate the metrics of several batches of users, in order."""
    return PerUser(
        *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(PerUser))
    )


def summarise(
    metrics: PerUser, where: npt.NDArray[np.bool_] | None = None
) -> dict[str, float | int]:
    """Return each metric's mean and standard error (`<name>_stderr`) and `users`, of some users.

    Without users there are no means: only `users`, 0.
    """
    chosen = {
        name: getattr(metrics, name) if where is None else getattr(metrics, name)[where]
        for name in RANKING_METRICS
    }
    n = len(chosen["recall"])
    if not n:
        return {"users": 0}
    means = {name: float(values.mean()) for name, values in chosen.items()}
    errors = {f"{name}_stderr": stderr(values) for name, values in chosen.items()}
    return {"users": n, **means, **errors}


def difference(ours: PerUser, theirs: PerUser, metric: str) -> dict[str, float]:
    """Return the mean difference of a metric, user by user, and its standard error."""
    values = getattr(ours, metric) - getattr(theirs, metric)
    return {"mean": float(values.mean()), "stderr": stderr(values)}


def stderr(values: Array) -> float:
    """Return the standard error of the mean of values (n,), 0 of fewer than two."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


def by_group(
    metrics: PerUser, groups: Mapping[str, npt.NDArray[np.bool_]]
) -> dict[str, dict[str, float | int]]:
    """Return the summary of each group of users; `groups` maps a name to (n_users,) bool."""
    return {name: summarise(metrics, where) for name, where in groups.items()}


def coverage(lists: Array, n_items: int) -> float:
    """Return the share of the catalog that is in at least one list."""
    return np.count_nonzero(np.bincount(lists[lists >= 0], minlength=n_items)) / n_items


def gini(lists: Array, n_items: int) -> float:
    """Return the Gini coefficient of the number of lists that each of `n_items` is in.

    With x ascending, sum of (2 i - n - 1) x_i over n sum of x_i; 0 without any place to share.
    """
    exposure = np.sort(np.bincount(lists[lists >= 0], minlength=n_items)).astype(np.float64)
    weights = 2 * np.arange(1, n_items + 1) - n_items - 1
    return float(weights @ exposure / (n_items * max(exposure.sum(), 1.0)))


def mean_hit_rating(
    lists: Array, rows: Array, items: Array, ratings: Array, n_items: int
) -> float | None:
    """Return the mean rating of held-out rated movies that were in the user's list, or None.

    `rows`, `items` and `ratings` are (n,), one for each rated movie.
    """
    users = np.arange(len(lists), dtype=np.int64)[:, None]
    listed = (users * n_items + lists)[lists >= 0]
    found = ratings[_is_in(rows.astype(np.int64) * n_items + items, listed)]
    return float(found.mean(dtype=np.float64)) if len(found) else None


def rating_concordance(rows: Array, scores: Array, ratings: Array) -> float | None:
    """Return the share of pairs that scores and ratings order alike; None without any pair.

    All arrays are (n,), and each user's entries lie side by side.
    """
    agree, pairs, lag = 0.0, 0, 1
    ratings = ratings.astype(np.float64)
    first = np.arange(len(rows) - 1)
    # Entry i with i + 1, then i + 2, ...: all pairs of a user, without a loop over users.
    while len(first := first[first + lag < len(rows)]):
        first = first[rows[first] == rows[first + lag]]
        by_rating = np.sign(ratings[first + lag] - ratings[first])
        by_score = np.sign(scores[first + lag] - scores[first])
        differ = by_rating != 0
        pairs += int(differ.sum())
        agree += float((1 + by_rating * by_score)[differ].sum() / 2)
        lag += 1
    return agree / pairs if pairs else None


def brief(metrics: Mapping[str, Any]) -> dict[str, float | int | None]:
    """Return the overall metrics of a model's report, flat: model, popularity, and the gain."""
    ours, theirs, gain = metrics["model"], metrics["popularity"], metrics["gain"]["ndcg"]
    names = ("recall", "ndcg", "map", "hit_rate", "coverage", "novelty")
    return {
        "k": metrics["k"],
        "test_users": metrics["test_users"],
        **{name: ours[name] for name in names},
        **{f"popularity_{name}": theirs[name] for name in names},
        "ndcg_gain": gain["mean"],
        "ndcg_gain_stderr": gain["stderr"],
    }
