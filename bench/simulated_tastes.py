"""The simulator's world, whose tastes are known: how much of what can be gained the model gains.

Users' events become a data set as in production, and the product's models are fitted on its TRAIN
part. The lift over the popular list, in NDCG of what users liked in the TEST part, is compared with
that of an oracle that knows how likely each user is to find and choose each movie: the simulator
itself, asked often. Beside it, without a goal: the same of a list's mean true affinity, where the
oracle ranks by affinity and knows movies that nobody has found yet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bench.benchmark_report import Row
from functions.train_als import als, list_choice
from functions.train_als.als import AlsModel
from movierec.model import dataset as datasets
from movierec.model import fitted, offline_metrics, segments
from movierec.model.dataset import TEST, TRAIN, Dataset, Evidence, Rated, Watched
from movierec.model.dataset_parameters import Parameters
from movierec.model.fitted import Exclusions, FittedModel
from movierec.model.popularity import Popularity
from movierec.model.ranking import LIST_LENGTH
from movierec.model.sparse_rows import SparseRows
from simulator import history_generator, synthetic_world
from simulator.history_generator import RATE, WATCH, WATCH_CANDIDATES, History, HistoryWindow
from simulator.synthetic_world import World
from simulator.user_demographics import GENDERS

Array = npt.NDArray[Any]

SHARE_GOAL: Final = 0.75
_USERS: Final = 3_000
_MOVIES: Final = 1_500
_LINES: Final = 1_500_000
_ASKED: Final = 2_000
_USERS_AT_ONCE: Final = 250
_END_S: Final = 1_796_000_000
_DAYS: Final = 180.0


def evidence(world: World, history: History) -> Evidence:
    """Return a history as the lake aggregates it; user i of the world has the id i + 1."""
    watched, rated = (history.kind == kind for kind in (WATCH, RATE))
    pair = history.user * len(world.films) + history.film
    last = np.lexsort((history.value, pair))[::-1]
    watch = last[watched[last]]
    watch = watch[np.unique(pair[watch], return_index=True)[1]]
    rate = np.flatnonzero(rated)
    rate = rate[np.unique(pair[rate], return_index=True)[1]]
    ids = np.array(world.films.ids)
    order = np.argsort(ids)
    code = np.empty(len(ids), np.int64)
    code[order] = np.arange(len(ids))
    people = world.users
    genders = [GENDERS[g] for g in people.gender.tolist()]
    groups = segments.group_of(people.age.astype(np.int64), genders)
    return Evidence(
        movie_ids=ids[order].tolist(),
        watched=Watched(
            history.user[watch] + 1,
            code[history.film[watch]],
            history.value[watch],
            history.time_s[watch],
        ),
        rated=Rated(
            history.user[rate] + 1,
            code[history.film[rate]],
            history.value[rate],
            history.time_s[rate],
        ),
        runtimes_minutes=world.films.runtime_minutes[order],
        adult=world.films.adult[order],
        user_groups=segments.groups_by_id(np.arange(1, len(people) + 1), groups),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Judge:
    """The users who liked a movie in TEST, and what lists are judged by."""

    users: Array
    liked: SparseRows
    affinity: npt.NDArray[np.float32]
    exclusions: Exclusions

    @classmethod
    def of(cls, world: World, dataset: Dataset) -> "_Judge":
        likes = (dataset.part == TEST) & (dataset.strength > 0)
        liked = SparseRows(dataset.indptr, dataset.movies).where(likes)
        users = np.flatnonzero(np.diff(liked.indptr))
        exclusions = Exclusions.of(dataset, dataset.part == TRAIN)
        return cls(users, liked.take(users), _affinity(world, dataset), exclusions)

    def ndcg(self, lists: Array) -> float:
        rows, n_movies = self.liked.row_numbers(), self.affinity.shape[1]
        found = offline_metrics.per_user(lists, rows, self.liked.columns, np.zeros(n_movies))
        return float(found.ndcg.mean())

    def worth(self, lists: Array) -> float:
        return float(self.affinity[self.users[:, None], lists][lists >= 0].mean())

    def lists(self, model: FittedModel) -> Array:
        return model.top(self.users, LIST_LENGTH, self.exclusions)

    def best(self, scores: npt.NDArray[np.float32]) -> Array:
        """Return lists by scores of all users, (n_users, n_movies)."""
        return fitted.top_of(lambda rows: scores[rows], self.users, LIST_LENGTH, self.exclusions)


def run(threads: int, seed: int = 1) -> list[Row]:
    """Return the share of the oracle's lift that each model has."""
    world = synthetic_world.generate(_USERS, _MOVIES, seed)
    rng = np.random.default_rng(seed)
    window = HistoryWindow(_END_S, _DAYS)
    history = history_generator.generate(world, np.arange(_USERS), _LINES, window, rng)
    dataset = datasets.build(evidence(world, history), Parameters())
    judge = _Judge.of(world, dataset)
    popular = judge.lists(Popularity.overall(dataset, dataset.part == TRAIN))
    models = {name: judge.lists(model) for name, model in _models(dataset, threads).items()}
    by_choice = judge.best(_choices(world, dataset, judge.users, rng))
    by_affinity = judge.best(judge.affinity)
    name = f"simulator, {_USERS:,} users, {_MOVIES:,} movies, {len(dataset.movies):,} interactions"

    def rows(
        what: str, value: Callable[[Array], float], best: Array, goal: float | None
    ) -> list[Row]:
        floor, most = value(popular), value(best)
        return [
            Row(
                f"{name}: {what}, {model}: share of the oracle's lift over popularity",
                (value(lists) - floor) / (most - floor),
                "",
                better="higher",
                goal=goal if model == "blend" else None,
            )
            for model, lists in models.items()
        ]

    return [
        *rows(f"NDCG@{LIST_LENGTH}", judge.ndcg, by_choice, SHARE_GOAL),
        *rows("mean true affinity", judge.worth, by_affinity, None),
    ]


def _places(world: World, dataset: Dataset) -> Array:
    """Return each movie's row in the world, (n_movies,)."""
    return np.array([world.films.index[name] for name in dataset.movie_ids])


def _affinity(world: World, dataset: Dataset) -> npt.NDArray[np.float32]:
    users, films = dataset.user_ids - 1, _places(world, dataset)
    found: npt.NDArray[np.float32] = world.preferences.affinity(users[:, None], films[None, :])
    return found


def _choices(
    world: World, dataset: Dataset, users: Array, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Return how often each of the users chose each movie when asked _ASKED times.

    Affinity breaks ties: the shape is that of all users, (n_users, n_movies).
    """
    row_of = np.full(len(world.films), -1)
    row_of[_places(world, dataset)] = np.arange(len(dataset.movie_ids))
    counts = 1e-3 * _affinity(world, dataset)
    for start in range(0, len(users), _USERS_AT_ONCE):
        chunk = users[start : start + _USERS_AT_ONCE]
        asked = np.repeat(np.arange(len(chunk)), _ASKED)
        people = (dataset.user_ids - 1)[chunk][asked]
        found = row_of[world.preferences.pick(people, WATCH_CANDIDATES, rng)]
        cells = (asked * counts.shape[1] + found)[found >= 0]
        drawn = np.bincount(cells, minlength=len(chunk) * counts.shape[1])
        counts[chunk] += drawn.reshape(len(chunk), -1)
    return counts


def _models(dataset: Dataset, threads: int) -> dict[str, FittedModel]:
    train = dataset.part == TRAIN
    factors = AlsModel.fit(dataset, train, als.Parameters(), threads=threads)
    mixed = list_choice.blended(dataset, train, factors, list_choice.Parameters.read({}))
    return {"ALS": factors, "EDLAE": mixed.items, "blend": mixed}
