"""License cost: what plays cost, and lists that trade predicted taste for it.

A site pays a license fee for each play. With a `cost_weight` w above 0 each user's CANDIDATES best
movies are ordered anew by

    exp(TASTE z) / rank^RANK - w cost / median cost

z is the movie's score and rank its place among the user's candidates, the score standardised over
them. The first term stands for how likely a movie is to be liked: of a list's movies those at the
top are so many times as often as those at its end, which a penalty on the score itself does not
see. It costs a third more NDCG for the same dollars (docs/adr/0025).

Costs that are not to be believed count as the median of the others, and are counted:

    missing   no cost is known
    absurd    0 or less, no finite number, or more than ABSURD times the median, or less than its
              ABSURD-th part. One price too low would put its movie into every list. 0 is what
              catalogs write for money that they do not know.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from movierec.errors import UsageError
from movierec.model.encoding import Array
from movierec.model.fitted import Exclusions, FittedModel, Float32

ABSURD: Final = 100.0
"""The dearest new release and the cheapest old film of a site differ less from its median."""

CANDIDATES: Final = 100
"""Of so many movies a list is chosen: five times what the site shows; 200 are no better."""

MOST_WEIGHT: Final = 100.0
"""From 10 on, lists are the cheapest candidates."""

# Best on the simulator's worlds of seeds 11 and 12, both flat around it.
TASTE: Final = 0.75
RANK: Final = 0.25

# Candidates whose scores are all alike: nothing to tell apart.
_LEAST_DEVIATION: Final = 1e-12
# Scores of pairs of so many users at once: 100 MB of 64 factors.
_USERS_A_CHUNK: Final = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """USD a play of each movie, (n_movies,), the median where none is known or to be believed."""

    usd: Float32
    median_usd: float
    missing: int
    absurd: int

    @classmethod
    def of(cls, given: Array | None) -> Self | None:
        """Return the costs of a data set, None where no movie has one; see the docstring above."""
        if given is None:
            return None
        with np.errstate(invalid="ignore"):
            positive = np.isfinite(given) & (given > 0)
        if not positive.any():
            return None
        typical = float(np.median(given[positive]))
        with np.errstate(invalid="ignore"):
            good = positive & (given <= ABSURD * typical) & (given >= typical / ABSURD)
        median = float(np.median(given[good]))
        missing = np.isnan(given)
        return cls(
            np.where(good, given, median).astype(np.float32),
            median,
            int(missing.sum()),
            int((~good & ~missing).sum()),
        )

    @property
    def relative(self) -> Float32:
        """Costs over the median one."""
        return (self.usd / np.float32(self.median_usd)).astype(np.float32)

    def facts(self) -> dict[str, Any]:
        """Return the manifest's part: how many costs are known, and how many are the median."""
        return {
            "movies": len(self.usd),
            "missing": self.missing,
            "absurd": self.absurd,
            "median_usd": self.median_usd,
        }


NO_COSTS: Final = "no movie of the data set has a cost"


def facts(costs: Costs | None, weight: float) -> dict[str, Any]:
    """Return the manifest's `license_cost`: whether lists count costs, and what is known."""
    known = costs.facts() if costs else {"reason": NO_COSTS}
    return {"cost_weight": weight, "applied": bool(costs and weight), **known}


def read_weight(value: object) -> float:
    """Return an event's `cost_weight`, 0 where it has none. Raises UsageError."""
    if value is None:
        return 0.0
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST_WEIGHT:
        return float(value)
    raise UsageError(f"cost_weight is {value!r}: expected a number of 0 to {MOST_WEIGHT:g}")


@dataclass(frozen=True, slots=True, eq=False)
class Penalty:
    """How much the cost of a movie counts against it."""

    relative: Float32
    """(n_movies,), cost over the median."""
    weight: float

    def among(self, movies: Array) -> "Penalty":
        """Return the penalty of some movies, numbered in that order."""
        return Penalty(self.relative[movies], self.weight)

    def depth(self, k: int) -> int:
        """Return how many candidates a list of k movies is chosen from."""
        return max(k, CANDIDATES)

    def reranked(self, candidates: Array, scores: Array) -> npt.NDArray[np.int32]:
        """Return each row's candidates by taste and cost, best first, -1 at the end.

        `candidates` is (n, m), best first, -1 where there are fewer; `scores` is (n, m), of any
        value where there is no candidate.
        """
        order = self.order(candidates, scores)
        return np.take_along_axis(candidates, order, axis=1).astype(np.int32)

    def order(self, candidates: Array, scores: Array) -> npt.NDArray[np.int64]:
        """Return the places of each row's candidates in `reranked`, (n, m)."""
        present = candidates >= 0
        taste = likelihood(scores, present)
        worth = np.where(present, taste - self.weight * self.relative[candidates], -np.inf)
        return np.argsort(-worth, axis=1, kind="stable")


def likelihood(scores: Array, present: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the first term of the module's docstring, (n, m), of scores in descending order."""
    values = np.where(present, scores, 0).astype(np.float64)
    count = np.maximum(present.sum(axis=1, keepdims=True), 1)
    centred = np.where(present, values - values.sum(axis=1, keepdims=True) / count, 0)
    variance = (centred**2).sum(axis=1, keepdims=True) / count
    z = centred / np.sqrt(np.maximum(variance, _LEAST_DEVIATION))
    rank = np.arange(1.0, scores.shape[1] + 1)
    found: npt.NDArray[np.float64] = np.exp(TASTE * z) * rank**-RANK
    return found


@dataclass(frozen=True, slots=True, eq=False)
class CostAware:
    """Another model's candidates by taste and cost: a `FittedModel`."""

    inner: FittedModel
    penalty: Penalty

    def top(self, users: Array, k: int, exclusions: Exclusions) -> npt.NDArray[np.int32]:
        """See `FittedModel.top`."""
        lists = np.full((len(users), k), -1, np.int32)
        for start in range(0, len(users), _USERS_A_CHUNK):
            chunk = users[start : start + _USERS_A_CHUNK]
            candidates = self.inner.top(chunk, self.penalty.depth(k), exclusions)
            scores = scores_of(self.inner, chunk, candidates)
            lists[start : start + len(chunk)] = self.penalty.reranked(candidates, scores)[:, :k]
        return lists

    def pair_scores(self, users: Array, movies: Array) -> Float32:
        """See `FittedModel.pair_scores`: of taste alone, cost counts among candidates only."""
        return self.inner.pair_scores(users, movies)


def cost_aware(inner: FittedModel, costs: Costs | None, weight: float) -> FittedModel:
    """Return the model whose lists count costs: `inner` itself without costs, or a weight of 0."""
    return CostAware(inner, Penalty(costs.relative, weight)) if costs and weight else inner


def scores_of(model: FittedModel, users: Array, lists: Array) -> Float32:
    """Return the scores of lists (len(users), m), 0 where a list is shorter."""
    rows, places = np.nonzero(lists >= 0)
    scores = np.zeros(lists.shape, np.float32)
    scores[rows, places] = model.pair_scores(users[rows], lists[rows, places])
    return scores
