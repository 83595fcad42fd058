"""License cost on the simulator's world: the NDCG that a fifth less dollars costs.

The blend is fitted on TRAIN; the weight that saves SAVED of the dollars is searched, and the NDCG
of what users liked in TEST is compared with that of the lists without a weight. Dollars of two
kinds, as in `movierec.model.cost_curve`: of a play, by rank, and of a list's movies, each as
likely. Rival: the same dollars saved by a penalty on the standardised score itself. Without a goal:
what the simulated users pay when they choose from both lists.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from bench import simulated_tastes
from bench.benchmark_report import Row
from functions.train_als import als, list_choice
from functions.train_als.als import AlsModel
from movierec.model import dataset as datasets
from movierec.model import license_cost, offline_metrics, rating_scale
from movierec.model.cost_curve import SAVED
from movierec.model.dataset import TRAIN, Dataset
from movierec.model.dataset_parameters import Parameters
from movierec.model.held_out import HeldOut
from movierec.model.license_cost import Costs, Penalty
from movierec.model.ranking import LIST_LENGTH
from simulator import history_generator, license_costs, synthetic_world, viewing_session
from simulator.history_generator import HistoryWindow
from simulator.synthetic_world import World

Array = npt.NDArray[Any]
Order = Callable[[float], Array]
"""The places of each user's candidates at a weight, best first."""

GOAL_PERCENT: Final = 2.0
_USERS: Final = 3_000
_MOVIES: Final = 1_500
_LINES: Final = 1_500_000
_END_S: Final = 1_796_000_000
_DAYS: Final = 180.0
_MOST_WEIGHT: Final = 20.0
_HALVINGS: Final = 30
_SESSIONS: Final = 3
_DISCOUNTS: Final = 1 / np.log2(np.arange(LIST_LENGTH) + 2)
_FLAT: Final = np.ones(LIST_LENGTH)


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """Test users of a world with priced films, and their candidates by the product's model."""

    world: World
    dataset: Dataset
    test: HeldOut
    costs: Costs
    candidates: Array
    scores: Array

    @classmethod
    def of(cls, threads: int, seed: int) -> Self:
        world = synthetic_world.generate(_USERS, _MOVIES, seed)
        rng, window = np.random.default_rng(seed), HistoryWindow(_END_S, _DAYS)
        history = history_generator.generate(world, np.arange(_USERS), _LINES, window, rng)
        dataset = datasets.build(simulated_tastes.evidence(world, history), Parameters())
        rows = [world.films.index[name] for name in dataset.movie_ids]
        costs = Costs.of(np.array([license_costs.usd_per_play(world, row) for row in rows]))
        if costs is None:
            raise ValueError("the simulator prices no film")
        train = dataset.part == TRAIN
        factors = AlsModel.fit(dataset, train, als.Parameters(), threads=threads)
        model = list_choice.blended(dataset, train, factors, list_choice.Parameters.read({}))
        test = HeldOut.of(dataset, _USERS)
        candidates = model.top(test.users, license_cost.CANDIDATES, test.exclusions)
        scores = license_cost.scores_of(model, test.users, candidates)
        return cls(world, dataset, test, costs, candidates, scores)

    def ours(self, weight: float) -> Array:
        return Penalty(self.costs.relative, weight).order(self.candidates, self.scores)

    def linear(self, weight: float) -> Array:
        """Return the order of a penalty on the standardised score."""
        centred = self.scores - self.scores.mean(axis=1, keepdims=True)
        z = centred / np.maximum(centred.std(axis=1, keepdims=True), 1e-6)
        return np.argsort(weight * self.costs.relative[self.candidates] - z, axis=1, kind="stable")

    def lists(self, order: Array) -> Array:
        return np.take_along_axis(self.candidates, order[:, :LIST_LENGTH], axis=1)

    def dollars(self, lists: Array, weights: Array) -> float:
        """Return the mean cost of the lists' movies, weighted by place."""
        return float((self.costs.usd[lists] @ weights / weights.sum()).mean())

    def cheaper(self, order: Order, weights: Array) -> tuple[float, Array]:
        """Return the least weight that saves SAVED of the dollars, and its lists."""
        wanted = (1 - SAVED) * self.dollars(self.lists(order(0)), weights)
        low, high = 0.0, _MOST_WEIGHT
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            enough = self.dollars(self.lists(order(middle)), weights) <= wanted
            low, high = (low, middle) if enough else (middle, high)
        return high, self.lists(order(high))

    def judged(self, lists: Array) -> offline_metrics.PerUser:
        n_movies = len(self.dataset.movie_ids)
        return offline_metrics.per_user(
            lists, self.test.liked_rows, self.test.liked, np.zeros(n_movies)
        )

    def paid(self, lists: Array) -> float:
        """Return the mean cost of what simulated users watch from their lists."""
        rng, films = np.random.default_rng(1), self.world.films
        row_of = np.array([films.index[name] for name in self.dataset.movie_ids])
        cost_of = dict(zip(row_of.tolist(), self.costs.usd.tolist(), strict=True))
        people = (self.dataset.user_ids[self.test.users] - 1).tolist()
        found = []
        for user, mine in zip(people, row_of[lists].tolist(), strict=True):
            for _ in range(_SESSIONS):
                session = viewing_session.simulate_session(
                    self.world, user, mine, set(), scale=rating_scale.NATIVE, rng=rng
                )
                if session.viewing and session.viewing.recommended:
                    found.append(cost_of[session.viewing.film])
        return float(np.mean(found))


def run(threads: int, seed: int) -> list[Row]:
    """Return what a fifth less license cost loses; seeds 11 and 12 have served for tuning."""
    case = _Case.of(threads, seed)
    full = case.lists(case.ours(0))
    before, paid = case.judged(full), case.paid(full)
    rows = []
    for what, weights in (("a play, by rank", _DISCOUNTS), ("a list's movies", _FLAT)):
        weight, lists = case.cheaper(case.ours, weights)
        _, rival = case.cheaper(case.linear, weights)
        found, theirs = case.judged(lists), case.judged(rival)
        name = f"simulator, seed {seed}: {SAVED:.0%} less cost of {what}"
        rows += [
            Row(
                f"{name}: NDCG@{LIST_LENGTH} lost",
                _lost(before.ndcg, found.ndcg),
                "%",
                goal=GOAL_PERCENT,
                rival="penalty on the score",
                rival_value=_lost(before.ndcg, theirs.ndcg),
            ),
            Row(f"{name}: hit rate lost", _lost(before.hit_rate, found.hit_rate), "%"),
            Row(f"{name}: cost_weight", weight, ""),
            Row(
                f"{name}: paid less by simulated users, a play from the list",
                100 * (1 - case.paid(lists) / paid),
                "%",
                better="higher",
            ),
        ]
    return rows


def _lost(before: Array, after: Array) -> float:
    return float(100 * (1 - after.mean() / before.mean()))
