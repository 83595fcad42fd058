"""Whose lists a model publishes: the blend's where they are better beyond doubt, else ALS's.

Both are fitted on TRAIN and compared by NDCG on the users who liked a movie in TEST, user by user,
under the rules of serving.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from functions.train_als import blend, edlae
from functions.train_als.als import AlsModel
from functions.train_als.blend import Blend
from functions.train_als.edlae import ItemToItemModel
from movierec.model import license_cost, offline_metrics
from movierec.model.dataset import Dataset
from movierec.model.fitted import FittedModel
from movierec.model.held_out import HeldOut
from movierec.model.item_neighbours import ItemNeighbours
from movierec.model.offline_metrics import PerUser
from movierec.model.ranking import LIST_LENGTH

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
    cost_weight: float = 0.0
    """How much a play's cost counts against a movie, see `movierec.model.license_cost`."""

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> "Parameters":
        """Return those of an event's `item_to_item`, `blend` and `cost_weight`.

        Raises UsageError.
        """
        return cls(
            edlae.Parameters.read(event.get("item_to_item") or {}),
            blend.Parameters.read(event.get("blend") or {}),
            license_cost.read_weight(event.get("cost_weight")),
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
    def of_als(cls, lacking: str) -> Self:
        """Return the choice of ALS for want of something that a blend takes."""
        return cls(ALS, f"the blend was not fitted, for want of {lacking}")

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
            "blend": asdict(parameters.blend),
            "item_to_item": asdict(parameters.items),
        }


def choose(dataset: Dataset, mixed: Blend, *, most_users: int = _MOST_TEST_USERS) -> Choice:
    """Compare a blend with its factors, both of which know TRAIN alone."""
    test = HeldOut.of(dataset, most_users)
    nothing = np.zeros(len(dataset.movie_ids))

    def judged(model: FittedModel) -> PerUser:
        lists = model.top(test.users, LIST_LENGTH, test.exclusions)
        return offline_metrics.per_user(lists, test.liked_rows, test.liked, nothing)

    found = offline_metrics.difference(judged(mixed), judged(mixed.als), "ndcg")
    gain, margin = found["mean"], _NORMAL_95 * found["stderr"]
    low, high = gain - margin, gain + margin
    verdict = "is better" if low > 0 else "is not better"
    reason = (
        f"the blend {verdict} than ALS alone beyond doubt: NDCG@{LIST_LENGTH} {gain:+.4f}"
        f" ({low:+.4f} to {high:+.4f}) on {len(test.users):,} users"
    )
    lists_from = BLEND if low > 0 else ALS
    interval = {"ndcg": gain, "low": low, "high": high}
    return Choice(lists_from, reason, interval)


def neighbours(mixed: Blend) -> ItemNeighbours:
    """Return the item neighbours of the artifact."""
    items = mixed.items.items
    return ItemNeighbours.strongest(items.movies, items.weights, items.n_movies)
