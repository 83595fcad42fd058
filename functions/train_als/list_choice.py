"""Whose lists a model publishes: the blend's where they are better beyond doubt, else ALS's.

Both are fitted on TRAIN and compared by NDCG on the users who liked a movie in TEST, user by user,
under the rules of serving.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from functions.train_als import als, blend, capacity, edlae
from functions.train_als.als import AlsModel
from functions.train_als.blend import Blend
from functions.train_als.capacity import Limits, Size
from functions.train_als.edlae import ItemToItemModel
from movierec.model import offline_metrics
from movierec.model.dataset import TEST, TRAIN, Dataset
from movierec.model.fitted import Exclusions, FittedModel
from movierec.model.item_neighbours import ItemNeighbours
from movierec.model.offline_metrics import PerUser
from movierec.model.ranking import LIST_LENGTH
from movierec.model.sparse_rows import row_numbers

ALS: Final = "als"
BLEND: Final = "blend"

# The standard error of their paired difference is then below 0.001.
_MOST_TEST_USERS: Final = 20_000
_NORMAL_95: Final = 1.96

# Bytes: see `edlae`, and a chunk's weights; the users' interactions as a matrix, whole and of the
# movies with weights.
_SQUARE_BYTES: Final = 16
_INTERACTION_BYTES: Final = 20

# Seconds, measured on one core, from above: LAPACK's inverse for each n^3; the Gram matrix for each
# pair of a user's movies, where the busiest tenth have half of all; a score of the weights for each
# interaction and movie; and the rest of a list for each movie.
_CUBE_S: Final = 1.0e-10
_PAIR_S: Final = 5.0e-8
_WEIGHT_S: Final = 1.0e-9
_SCORE_S: Final = 4.0e-8


@dataclass(frozen=True, slots=True)
class Parameters:
    """Hyperparameters of what stands beside ALS."""

    items: edlae.Parameters
    blend: blend.Parameters

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> "Parameters":
        """Return those of an event's `item_to_item` and `blend`. Raises UsageError."""
        return cls(
            edlae.Parameters.read(event.get("item_to_item") or {}),
            blend.Parameters.read(event.get("blend") or {}),
        )


def blended(
    dataset: Dataset, keep: npt.NDArray[np.bool_], factors: AlsModel, parameters: Parameters
) -> Blend:
    """Return the blend with ALS that was fitted on the same kept interactions, (n,).

    Raises DatasetError, see `edlae.fit`.
    """
    x = edlae.interactions(dataset, keep, parameters.items)
    items = ItemToItemModel.of(edlae.fit(x, parameters.items), x)
    likes = np.bincount(x.indices, minlength=x.shape[1])
    return Blend.of(factors, items, likes, parameters.blend)


@dataclass(frozen=True, slots=True)
class Choice:
    """Whose lists are published, and why."""

    lists_from: str
    reason: str
    gain: Mapping[str, float] | None = None
    """The blend's `ndcg` less that of ALS, `low` and `high` of its interval; None: not compared."""

    @classmethod
    def of_als(cls, reason: str) -> Self:
        """Return the choice of ALS for want of a blend."""
        return cls(ALS, reason)

    @property
    def compared(self) -> bool:
        """Whether there is a blend."""
        return self.gain is not None

    def model(self, factors: AlsModel, mixed: Blend | None) -> FittedModel:
        """Return the chosen one of ALS and the blend with it."""
        return mixed if mixed and self.lists_from == BLEND else factors

    def facts(self, parameters: Parameters) -> dict[str, Any]:
        """Return the manifest's part."""
        return {
            "lists_from": self.lists_from,
            "lists_reason": self.reason,
            "blend_gain": self.gain,
            "blend": asdict(parameters.blend) if self.compared else None,
            "item_to_item": asdict(parameters.items) if self.compared else None,
        }


def choose(dataset: Dataset, mixed: Blend, *, most_users: int = _MOST_TEST_USERS) -> Choice:
    """Compare a blend with its factors, both of which know TRAIN alone."""
    rows, likes = row_numbers(dataset.indptr), (dataset.part == TEST) & (dataset.strength > 0)
    users = np.unique(rows[likes])
    users = users[:: math.ceil(len(users) / most_users)]
    place = np.full(len(dataset.user_ids), -1)
    place[users] = np.arange(len(users))
    wanted = likes & (place[rows] >= 0)
    exclusions = Exclusions.of(dataset, dataset.part == TRAIN)

    def judged(model: FittedModel) -> PerUser:
        lists = model.top(users, LIST_LENGTH, exclusions)
        nothing = np.zeros(len(dataset.movie_ids))
        return offline_metrics.per_user(lists, place[rows[wanted]], dataset.movies[wanted], nothing)

    found = offline_metrics.difference(judged(mixed), judged(mixed.als), "ndcg")
    gain, margin = found["mean"], _NORMAL_95 * found["stderr"]
    low, high = gain - margin, gain + margin
    verdict = "is better" if low > 0 else "is not better"
    reason = (
        f"the blend {verdict} than ALS alone beyond doubt: NDCG@{LIST_LENGTH} {gain:+.4f}"
        f" ({low:+.4f} to {high:+.4f}) on {len(users):,} users"
    )
    lists_from = BLEND if low > 0 else ALS
    interval = {"ndcg": gain, "low": low, "high": high}
    return Choice(lists_from, reason, interval)


def neighbours(mixed: Blend) -> ItemNeighbours:
    """Return the item neighbours of the artifact."""
    items = mixed.items.items
    return ItemNeighbours.strongest(items.movies, items.weights, items.n_movies)


def blend_bytes(size: Size, parameters: edlae.Parameters) -> int:
    """Return the memory that the blend takes beside ALS, from above."""
    n = min(parameters.movies, size.movies)
    return _SQUARE_BYTES * n * n + _INTERACTION_BYTES * size.interactions


def blend_s(size: Size, parameters: edlae.Parameters) -> float:
    """Return the duration of both fits of the weights and of everybody's lists, beside ALS."""
    n = min(parameters.movies, size.movies)
    fit_s = _CUBE_S * n**3 + _PAIR_S * size.interactions**2 / max(size.users, 1)
    lists_s = size.users * n * _SCORE_S + size.interactions * n * _WEIGHT_S
    return 2 * fit_s + lists_s


def no_room(size: Size, factors: als.Parameters, parameters: Parameters, limits: Limits) -> str:
    """Return why a training has no room for the blend, empty if it has."""
    needed = capacity.memory_bytes(size, factors.factors) + blend_bytes(size, parameters.items)
    if needed > limits.memory_bytes:
        return (
            f"no memory for the blend: it takes about {needed / 1e9:.1f} GB in all, and the"
            f" function has {limits.memory_bytes / 1e9:.1f}; lower movies of item_to_item"
        )
    alone_s = capacity.lists_s(size, factors.factors, limits.threads)
    alone_s += 2 * factors.iterations * capacity.iteration_s(size, factors.factors, limits.threads)
    needed_s = alone_s + blend_s(size, parameters.items)
    if needed_s > limits.remaining_s:
        return (
            f"no time for the blend: it takes about {needed_s:.0f} s in all, and"
            f" {limits.remaining_s:.0f} are left; lower movies of item_to_item"
        )
    return ""
