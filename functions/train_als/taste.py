"""What users' texts are worth in a model: fit the map of tastes, and test it on held-out users."""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from functions.train_als.als import AlsModel
from movierec.model import offline_metrics, segments
from movierec.model.dataset import TRAIN, Dataset
from movierec.model.encoding import Array
from movierec.model.fitted import Factors, FittedModel
from movierec.model.held_out import HeldOut
from movierec.model.offline_metrics import PerUser
from movierec.model.popularity import Popularity
from movierec.model.ranking import LIST_LENGTH
from movierec.model.sparse_rows import row_numbers
from movierec.model.texts import Texts
from movierec.taste.taste_map import TasteMap

# The standard error of a paired difference is then below 0.003.
_MOST_TEST_USERS: Final = 5_000
# One in five of the users with text teaches nothing, and is tested.
_FOLDS: Final = 5


def fit(dataset: Dataset, texts: Texts, keep: npt.NDArray[np.bool_], model: AlsModel) -> TasteMap:
    """Return the map of a model that was fitted on the kept interactions (n,)."""
    positive = keep & (dataset.strength > 0)
    return TasteMap.fit(
        texts,
        model.factors,
        np.bincount(dataset.movies[positive], minlength=len(dataset.movie_ids)),
        history=np.bincount(row_numbers(dataset.indptr)[positive], minlength=len(dataset.user_ids)),
        groups=segments.groups_of(dataset.user_ids, dataset.user_groups),
        regularization=model.regularization,
    )


def evaluated(dataset: Dataset, texts: Texts, model: AlsModel) -> dict[str, Any]:
    """Return how well lists by text alone do, with a model of TRAIN, for users held out from text.

    Beside them the popular list of each user's group, which who has no text would get, and the
    lists of the model, which knows what these users liked in TRAIN. All leave out what was seen.
    """
    train = dataset.part == TRAIN
    tested = np.arange(len(texts.rows)) % _FOLDS == 0
    described = np.zeros(len(dataset.user_ids), np.bool_)
    described[texts.rows[tested]] = True
    held_out = _Judge.of(HeldOut.of(dataset, len(dataset.user_ids)), described)
    if not len(held_out.users):
        return {"users": 0}
    taste = fit(dataset, _where(texts, ~tested), train, model)
    known = Popularity.by_group(
        replace(dataset, strength=np.where(train, dataset.strength, 0).astype(np.float32))
    )
    users = np.zeros_like(model.factors.users)
    places = np.searchsorted(texts.rows, held_out.users)
    groups = segments.groups_of(dataset.user_ids, dataset.user_groups)[held_out.users]
    users[held_out.users] = taste.users([texts.descriptions[i] for i in places.tolist()], groups)
    by_text = held_out.judged(replace(model, factors=Factors(users, model.factors.movies)))
    popular, own = held_out.judged(known), held_out.judged(model)
    return {
        "users": len(held_out.users),
        "understood": int(users[held_out.users].any(axis=1).sum()),
        "learned_from": taste.facts["learned_from"],
        "ndcg": float(by_text.ndcg.mean()),
        "group_ndcg": float(popular.ndcg.mean()),
        "model_ndcg": float(own.ndcg.mean()),
        "gain": offline_metrics.difference(by_text, popular, "ndcg"),
    }


def _where(texts: Texts, keep: npt.NDArray[np.bool_]) -> Texts:
    kept = np.flatnonzero(keep)
    return Texts(texts.rows[kept], [texts.descriptions[i] for i in kept.tolist()], texts.movies)


@dataclass(frozen=True, slots=True, eq=False)
class _Judge:
    """Test users with text, and what they liked in TEST."""

    users: Array
    rows: Array
    liked: Array
    test: HeldOut

    @classmethod
    def of(cls, test: HeldOut, described: npt.NDArray[np.bool_]) -> "_Judge":
        places = np.flatnonzero(described[test.users])
        places = places[:: max(1, -(-len(places) // _MOST_TEST_USERS))]
        row_of = np.full(len(test.users), -1)
        row_of[places] = np.arange(len(places))
        rows = row_of[test.liked_rows]
        return cls(test.users[places], rows[rows >= 0], test.liked[rows >= 0], test)

    def judged(self, model: FittedModel) -> PerUser:
        lists = model.top(self.users, LIST_LENGTH, self.test.exclusions)
        nothing = np.zeros(len(self.test.new_movies))
        return offline_metrics.per_user(lists, self.rows, self.liked, nothing)
