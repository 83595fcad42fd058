"""Lists of users who came after the training, on the simulator's world, whose tastes are known.

Models are fitted to the history of some of a world's users. The others sign up later, with a
description that follows their hidden taste, and their lists are those of the refresh, after none to
20 movies watched or rated. What they like after those 20 is to be found, the same for all lists;
what they see within them is left out of all. Gains are over the popular list of the user's group.

    python -m bench.newcomer_lists SEED     the figures of one world, as JSON
"""

import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bench import simulated_tastes
from functions.refresh import changing
from functions.refresh.people import People
from functions.refresh.served_model import ServedModel
from functions.train_als import als, list_choice, taste
from functions.train_als.als import AlsModel
from movierec.model import dataset as datasets
from movierec.model import offline_metrics, ranking, refresh, segments
from movierec.model.dataset import Dataset, Evidence
from movierec.model.dataset_parameters import Parameters
from movierec.model.fitted import Exclusions
from movierec.model.fold_in import FoldIn
from movierec.model.neighbour_blend import NeighbourBlend
from movierec.model.popularity import Popularity
from movierec.model.ranking import LIST_LENGTH
from movierec.model.recent import Recent
from movierec.model.refresh import Base, Changes, State
from movierec.model.segments import MINORS
from movierec.model.sparse_rows import SparseRows
from movierec.model.texts import Description, MovieText, Texts
from movierec.taste.taste_map import TasteMap
from simulator import history_generator, site_api_documents, synthetic_world
from simulator.history_generator import HistoryWindow
from simulator.self_descriptions import Describer
from simulator.synthetic_world import World

Array = npt.NDArray[Any]

EVENTS: Final = (0, 1, 2, 5, 10, 20)
SHARE_GOAL: Final = 0.5

_USERS: Final = 3_000
_NEWCOMERS: Final = 2_500
_MOVIES: Final = 1_500
_LINES_A_USER: Final = 500
_DESCRIBED: Final = 0.5
_DAYS: Final = 180.0
_DAY_S: Final = 86_400
_OPENED_S: Final = 1_780_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Newcomers:
    """Users with at least as many events as the last of EVENTS, and something liked after them."""

    ids: Array
    groups: npt.NDArray[np.uint8]
    descriptions: Sequence[Description]
    recent: Recent
    """All their events."""
    place: Array
    """(n_events,), of each event among its user's, by time."""
    runtimes_minutes: Array
    liked: SparseRows
    """What is to be found."""
    seen: Exclusions
    """What no list is judged by."""

    def changes(
        self, model: ServedModel, events: int, descriptions: Sequence[Description] | None
    ) -> Changes:
        """Return what a refresh finds after so many events of each."""
        described = None
        if descriptions is not None:
            said = People(self.groups, descriptions)
            described = changing.vectors(model, said, np.arange(len(self.ids)))
        return Changes(
            recent=_where(self.recent, self.place < events),
            users=self.ids,
            groups=self.groups,
            movie_ids=(),
            runtimes_minutes=self.runtimes_minutes,
            adult=model.base.dataset.adult,
            withdrawn=frozenset(),
            described=described,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """How good lists of newcomers are."""

    newcomers: Newcomers
    affinity: npt.NDArray[np.float32]
    """(n_newcomers, n_movies)."""

    def figures(self, lists: Array) -> dict[str, float]:
        """Return the figures of lists, (n_newcomers, TOP_K)."""
        n_movies, everybody = self.affinity.shape[1], np.arange(len(lists))
        excluded = np.take_along_axis(self.newcomers.seen.mask(everybody, n_movies), lists, axis=1)
        kept = ranking.compact(lists, (lists >= 0) & ~excluded, k=LIST_LENGTH, dtype=_INT32)
        kept = np.where(kept == np.iinfo(_INT32).max, -1, kept)
        liked = self.newcomers.liked
        found = offline_metrics.per_user(
            kept, liked.row_numbers(), liked.columns, np.zeros(n_movies)
        )
        worth = self.affinity[everybody[:, None], kept][kept >= 0]
        return {"ndcg": float(found.ndcg.mean()), "affinity": float(worth.mean())}


_INT32: Final = np.dtype(np.int32)


def measured(seed: int, threads: int) -> dict[str, dict[str, float]]:
    """Return the figures of each kind of list in one world, by name."""
    world = synthetic_world.generate(_USERS + _NEWCOMERS, _MOVIES, seed)
    rng = np.random.default_rng(seed)
    model = trained(world, rng, threads)
    base = model.base
    newcomers = _newcomers(world, base, rng)
    films = [world.films.index[name] for name in base.dataset.movie_ids]
    affinity = world.preferences.affinity(newcomers.ids[:, None] - 1, np.array(films)[None, :])
    judge = Judge(newcomers, affinity)
    written = newcomers.descriptions
    others = [written[i] for i in rng.permutation(len(written))]

    def refreshed(events: int, texts: Sequence[Description] | None) -> dict[str, float]:
        state = refresh.refreshed(base, State.first(), newcomers.changes(model, events, texts))
        topk = state.overlay.topk.astype(np.int64)
        return judge.figures(np.where(topk < len(films), topk, -1))

    return {
        "group": judge.figures(_group_lists(base, newcomers)),
        "shuffled": refreshed(0, others),
        **{f"text, {n}": refreshed(n, written) for n in EVENTS},
        **{f"no text, {n}": refreshed(n, None) for n in EVENTS},
        "oracle": judge.figures(np.argsort(-affinity, axis=1)[:, : 2 * LIST_LENGTH + 10]),
    }


def trained(world: World, rng: np.random.Generator, threads: int) -> ServedModel:
    """Return the product's models of the history of the world's first users."""
    users = np.arange(_USERS)
    window = HistoryWindow(_OPENED_S, _DAYS)
    history = history_generator.generate(world, users, _USERS * _LINES_A_USER, window, rng)
    found = simulated_tastes.evidence(world, history)
    dataset = datasets.build(found, Parameters())
    texts = _texts(world, dataset, rng)
    dataset = dataclasses.replace(dataset, texts=texts)
    everything = np.ones(len(dataset.movies), np.bool_)
    factors = AlsModel.fit(dataset, everything, als.Parameters(), threads=threads)
    beside = list_choice.Parameters.read({})
    mixed = list_choice.blended(dataset, everything, factors, beside)
    likes = np.bincount(dataset.movies[dataset.strength > 0], minlength=len(dataset.movie_ids))
    fitted, alpha = FoldIn(factors.factors.movies, factors.regularization), als.Parameters().alpha
    base = Base(
        dataset=dataset,
        parameters=Parameters(),
        fold_in=fitted,
        alpha=alpha,
        popularity=Popularity.by_group(dataset).scores,
        blend=NeighbourBlend.of(
            list_choice.neighbours(mixed),
            likes,
            als_share=beside.blend.als_share,
            popularity_exponent=beside.blend.popularity_exponent,
            strength_share=beside.items.strength_share,
        ),
        group_means=refresh.group_means(dataset, fitted, alpha),
    )
    # As it is published.
    tastes = TasteMap.unpack(taste.fit(dataset, texts, everything, factors).pack())
    return ServedModel("", base, {}, tastes)


def _texts(world: World, dataset: Dataset, rng: np.random.Generator) -> Texts:
    describer = Describer(world)
    rows = np.flatnonzero(rng.random(len(dataset.user_ids)) < _DESCRIBED)
    films = (world.films.index[name] for name in dataset.movie_ids)
    return Texts(
        rows.astype(np.int32),
        [_written(world, describer, user) for user in (dataset.user_ids[rows] - 1).tolist()],
        [_movie_text(world, film) for film in films],
    )


def _written(world: World, describer: Describer, user: int) -> Description:
    said = describer.describe(world.preferences.user_factors[user])
    return Description(said.likes or "", said.dislikes or "")


def _movie_text(world: World, film: int) -> MovieText:
    found = site_api_documents.movie(world, film)
    return MovieText(
        title=found["title"],
        genres=tuple(genre["name"] for genre in found["genres"]),
        people=tuple(company["name"] for company in found["production_companies"]),
        overview=found["overview"],
    )


def _newcomers(world: World, base: Base, rng: np.random.Generator) -> Newcomers:
    users = np.arange(_USERS, _USERS + _NEWCOMERS)
    window = HistoryWindow(_OPENED_S + int(_DAYS * _DAY_S), _DAYS)
    history = history_generator.generate(world, users, len(users) * _LINES_A_USER, window, rng)
    found = simulated_tastes.evidence(world, history)
    recent, runtimes = _recent(found, base.dataset.movie_ids)
    order = np.lexsort((recent.last_at, recent.users))
    ids, starts, row = np.unique(recent.users[order], return_index=True, return_inverse=True)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - starts[row]
    share = datasets.watched_share(recent.minutes, recent.movies, runtimes)
    later = (datasets.strengths(share, recent.ratings, base.parameters) > 0) & (place >= EVENTS[-1])
    ids = np.unique(recent.users[later])
    keep = np.isin(recent.users, ids)
    recent = _where(recent, keep)
    place, later = place[keep], later[keep]
    groups = segments.groups_of(ids, found.user_groups)
    before = _rows(ids, recent, place < EVENTS[-1])
    describer = Describer(world)
    return Newcomers(
        ids=ids,
        groups=groups.astype(np.uint8),
        descriptions=[_written(world, describer, user) for user in (ids - 1).tolist()],
        recent=recent,
        place=place,
        runtimes_minutes=runtimes,
        liked=_rows(ids, recent, later),
        seen=_rules(base, groups, before),
    )


def _recent(found: Evidence, movie_ids: Sequence[str]) -> tuple[Recent, Array]:
    """Return events of the model's movies, and the runtimes of these."""
    code = {name: i for i, name in enumerate(movie_ids)}
    codes = np.array([code.get(name, -1) for name in found.movie_ids])
    watched, rated = found.watched, found.rated
    both = Recent.merged(
        Recent(
            watched.user_ids,
            codes[watched.movies],
            watched.minutes,
            np.zeros(len(watched.movies)),
            watched.last_at,
        ),
        Recent(
            rated.user_ids,
            codes[rated.movies],
            np.full(len(rated.movies), -1),
            rated.ratings,
            rated.last_at,
        ),
    )
    runtimes = np.zeros(len(movie_ids), np.int64)
    runtimes[codes[codes >= 0]] = found.runtimes_minutes[codes >= 0]
    return _where(both, both.movies >= 0), runtimes


def _where(recent: Recent, keep: Array) -> Recent:
    return Recent(*(getattr(recent, f.name)[keep] for f in dataclasses.fields(Recent)))


def _rows(ids: Array, recent: Recent, keep: Array) -> SparseRows:
    counts = np.bincount(np.searchsorted(ids, recent.users[keep]), minlength=len(ids))
    return SparseRows(np.concatenate(([0], np.cumsum(counts))), recent.movies[keep])


def _rules(base: Base, groups: Array, seen: SparseRows) -> Exclusions:
    return Exclusions(
        seen=seen,
        restricted=np.asarray(MINORS)[groups],
        adult=np.flatnonzero(base.dataset.adult).astype(np.int32),
    )


def _group_lists(base: Base, newcomers: Newcomers) -> Array:
    """Return the popular list of each one's group."""
    nothing = SparseRows(np.zeros(len(newcomers.ids) + 1, np.int64), np.zeros(0, np.int32))
    popularity = Popularity(base.popularity, newcomers.groups)
    everybody = np.arange(len(newcomers.ids))
    return popularity.top(everybody, 50, _rules(base, newcomers.groups, nothing))


def main() -> int:
    """Print the figures of one world."""
    print(json.dumps(measured(int(sys.argv[1]), os.process_cpu_count() or 1)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
