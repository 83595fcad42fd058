"""Whose lists a model publishes: the blend's where they are better beyond doubt, else ALS's.

Both are fitted on TRAIN and compared by NDCG on the users who liked a movie in TEST, user by user,
under the rules of serving.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from functions.train_als import blend, edlae
from functions.train_als.als import AlsModel
from functions.train_als.blend import Blend
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
    return Blend.of(factors, items, x, likes, parameters.blend)


@dataclass(frozen=True, slots=True)
class Choice:
    """Whose lists are published, and the blend's gain in NDCG with its interval of 95%."""

    lists_from: str
    gain: float
    low: float
    high: float
    users: int

    def model(self, mixed: Blend) -> FittedModel:
        """Return the chosen one of a blend and its factors."""
        return mixed if self.lists_from == BLEND else mixed.als

    def facts(self, mixed: Blend, parameters: Parameters) -> dict[str, Any]:
        """Return the manifest's part; `mixed` is the blend of what is published."""
        interval = f"{self.gain:+.4f} ({self.low:+.4f} to {self.high:+.4f}) on {self.users:,} users"
        verdict = (
            "is better than ALS alone beyond doubt"
            if self.lists_from == BLEND
            else "is not better than ALS alone beyond doubt"
        )
        return {
            "lists_from": self.lists_from,
            "lists_reason": f"the blend {verdict}: NDCG@{LIST_LENGTH} {interval}",
            "blend_gain": {"ndcg": self.gain, "low": self.low, "high": self.high},
            "blend": asdict(parameters.blend),
            "item_to_item": {
                **asdict(parameters.items),
                "movies_used": len(mixed.items.items.movies),
            },
            "als_regularization": mixed.als.regularization,
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
    better = gain - margin > 0
    return Choice(BLEND if better else ALS, gain, gain - margin, gain + margin, len(users))


def neighbours(mixed: Blend) -> ItemNeighbours:
    """Return the item neighbours of the artifact."""
    items = mixed.items.items
    return ItemNeighbours.strongest(items.movies, items.weights, items.n_movies)
