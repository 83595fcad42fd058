"""Why a user gets the list that is served: the model's own, the newest overlay's, or the group's.

An overlay's list is explained as the refresh makes it (`movierec.model.refresh`): by what the user
likes in the data set and since, and by the words of the description. What the words add to a
movie's score in the fold-in is their prior's part, split as `TasteMap.pulls` has it.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from movierec.errors import ArtifactError, ObjectNotFoundError
from movierec.model import artifact, encoding, explanation, fold_in, refresh, sealed_folder
from movierec.model import dataset as datasets
from movierec.model.dataset import Dataset
from movierec.model.dataset_parameters import Parameters
from movierec.model.encoding import Array
from movierec.model.explanation import Explained, Explanation, History, Word, parts_of, strongest
from movierec.model.fitted import Float32
from movierec.model.fold_in import FoldIn, Prior
from movierec.model.neighbour_blend import share_at
from movierec.model.ranking import LIST_LENGTH, Ranked, Recommender
from movierec.model.recent import histories
from movierec.model.refresh import DESCRIPTION_WEIGHT, GROUP_WEIGHT, State
from movierec.model.texts import Description, MovieText, fingerprint
from movierec.ports import ObjectStore
from movierec.taste import stored_answers, taste_map
from movierec.taste.language_model import digest
from movierec.taste.taste_map import TasteMap
from movierec.taste.tastes import Tastes

FALLBACK: Final = "fallback"

GROUP_WORD: Final = "(age and gender)"
"""In place of words, for what is expected of a user who wrote nothing."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the lake says of a user and of movies; see `Changes` for what a refresh knows."""

    description: Description
    runtimes_minutes: Mapping[str, int]
    texts: Callable[[Sequence[str]], Sequence[MovieText]]


def explain(
    store: ObjectStore,
    version: str,
    user_id: int,
    facts: Facts,
    *,
    movies: int = LIST_LENGTH,
    pulls: int = 3,
) -> Explanation:
    """Explain the first `movies` of the list that a user gets, by up to `pulls` titles and words.

    Raises UsageError for an unknown model or one that is too old; ArtifactError.
    """
    manifest = explanation.manifest_of(store, version)
    recommender = _recommender(store, version)
    found = refresh.load(store, version, len(recommender.movie_ids))
    number, state, made = found or (0, _FIRST, {})
    ranked = recommender.recommend(user_id, movies, state.overlay)
    row = state.overlay.row_of(user_id)
    if row is None and ranked.known_user:
        own = explanation.explain(store, version, user_id, movies=artifact.TOP_K, pulls=pulls)
        by_id = {each.movie_id: each for each in own.movies}
        listed = [by_id.get(one, Explained(one, ())) for one in ranked.movie_ids]
        return replace(own, movies=tuple(listed), refresh=number)
    plain = Explanation(
        version,
        user_id,
        manifest["lists_from"] if ranked.source == "model" else explanation.POPULAR,
        0,
        tuple(Explained(one, ()) for one in ranked.movie_ids),
        ranked.reason or FALLBACK,
        number,
        ranked.popular_group,
    )
    if row is None or ranked.source != "model":
        return plain
    user = _User(store, manifest, state, user_id, int(state.overlay.groups[row]))
    read = _as_read(store, made.get("language_model"), facts.description, int(state.texts[row]))
    return _explained(user, plain, ranked, replace(facts, description=read), pulls)


_FIRST: Final = State.first()


def _as_read(
    store: ObjectStore, model: str | None, description: Description, used: int
) -> Description:
    """Return a description as the refresh had it, whose list keeps the fingerprint `used`.

    That is what a language model has read in it, or the text itself.
    """
    if model is None or not description or fingerprint(description) == used:
        return description
    outcome = stored_answers.load(store, digest(model, description))
    named = outcome.description() if isinstance(outcome, Tastes) else description
    return named if fingerprint(named) == used else description


@dataclass(frozen=True, slots=True)
class _User:
    """A user with a list in the overlay."""

    store: ObjectStore
    manifest: Mapping[str, Any]
    state: State
    user_id: int
    group: int

    def tastes(self) -> TasteMap | None:
        if not set(taste_map.FILES) <= set(self.manifest["files"]):
            return None
        return TasteMap.unpack(self.files(taste_map.FILES))

    def files(self, names: Sequence[str]) -> dict[str, bytes]:
        key = functools.partial(artifact.key, self.manifest["model_version"])
        return sealed_folder.load(self.store, key, names, self.manifest)

    def dataset(self) -> tuple[Dataset, Parameters]:
        dataset_id = self.manifest["dataset_id"]
        key = functools.partial(datasets.key, dataset_id)
        try:
            built = sealed_folder.manifest(self.store, key)
        except ObjectNotFoundError as exc:
            raise ArtifactError(
                f"data set {dataset_id}, which holds the user's history, is gone: train anew with"
                " `movierec retrain`"
            ) from exc
        return datasets.load(self.store, dataset_id), Parameters.read(built["parameters"])

    def history(
        self, dataset: Dataset, parameters: Parameters, runtimes: Mapping[str, int]
    ) -> History:
        """Return what the user likes, in the data set and since, of the model's movies."""
        ids = (*dataset.movie_ids, *self.state.overlay.movie_ids)
        minutes = np.array([runtimes.get(one, 0) for one in ids])
        users = np.array([self.user_id])
        found = histories(users, self.state.recent, dataset, parameters, minutes)
        liked, strength = found.liked()
        within = liked.columns < len(dataset.movie_ids)
        everybody = np.bincount(
            dataset.movies[dataset.strength > 0], minlength=len(dataset.movie_ids)
        )
        return History(liked.columns[within], strength[within], everybody)


def _explained(
    user: _User, plain: Explanation, ranked: Ranked, facts: Facts, pulls: int
) -> Explanation:
    dataset, parameters = user.dataset()
    name = artifact.ITEM_FACTORS_FILE
    factors = encoding.load_npy(name, user.files([name])[name])
    alpha = user.manifest["parameters"]["alpha"]
    fitted = FoldIn(factors, fold_in.regularization_of(user.manifest, dataset))
    history = user.history(dataset, parameters, facts.runtimes_minutes)
    tastes = user.tastes()
    mean = np.zeros(factors.shape[1], np.float32)
    if tastes:
        mean = tastes.users([facts.description], np.array([user.group]))[0]
    wrote = bool(mean.any())
    if not wrote:
        mean = refresh.group_means(dataset, fitted, alpha)[user.group]
    prior = Prior(mean[None], np.array([DESCRIPTION_WEIGHT if wrote else GROUP_WEIGHT]))
    of_user = fitted.parts(history.liked, 1 + alpha * history.strengths, prior)
    codes = {one: code for code, one in enumerate(dataset.movie_ids)}
    listed = _Listed.of(ranked.movie_ids, codes, factors, tastes, facts)
    items = 1 - user.manifest.get("blend", {}).get("als_share", 1)
    parts = listed.factors @ of_user
    model = np.flatnonzero(listed.codes >= 0)
    parts[model] = parts_of(
        user.store,
        user.manifest,
        factors @ of_user,
        history,
        listed.codes[model],
        items_share=items * float(share_at(np.array(len(history.liked)))),
    )
    words = [[(GROUP_WORD, 1.0)]] * len(parts)
    if wrote and tastes:
        words = tastes.pulls(facts.description, listed.factors)
    liked = history.liked, dataset.movie_ids
    rows = zip(ranked.movie_ids, parts, words, strict=True)
    movies = [_movie(one, part, liked, said, pulls) for one, part, said in rows]
    for at in ranked.new:
        movies[at] = replace(movies[at], new=True)
    return replace(plain, liked=len(history.liked), movies=tuple(movies))


@dataclass(frozen=True, slots=True, eq=False)
class _Listed:
    """The movies of a list: their indices in the model, -1 for newer ones, and their factors."""

    codes: Array
    factors: Float32

    @classmethod
    def of(
        cls,
        movie_ids: Sequence[str],
        codes: Mapping[str, int],
        factors: Float32,
        tastes: TasteMap | None,
        facts: Facts,
    ) -> "_Listed":
        found = np.array([codes.get(one, -1) for one in movie_ids], np.int64)
        rows = factors[np.maximum(found, 0)]
        new = [one for one, code in zip(movie_ids, found.tolist(), strict=True) if code < 0]
        if new:
            rows[found < 0] = tastes.movies(facts.texts(new)) if tastes else 0
        return cls(found, rows)


def _movie(
    movie_id: str,
    part: Float32,
    liked: tuple[Array, Sequence[str]],
    said: Sequence[tuple[str, float]],
    pulls: int,
) -> Explained:
    """Return a movie with the titles and words that pulled it, `pulls` of both together at most.

    `part` is what each liked title adds to its score; the last is the prior's, that of the words.
    """
    rows, names = liked
    total = float(np.maximum(part, 0).sum()) or 1.0
    titles = strongest(part[:-1], rows, names, pulls, total)
    for_it = sum(value for _, value in said if value > 0) or 1.0
    scale = max(float(part[-1]), 0.0) / for_it
    words = [Word(text, value * scale, value * scale / total) for text, value in said if value]
    words = words if scale else []
    shares = [one.share for one in titles] + [abs(one.share) for one in words]
    shares.sort(reverse=True)
    least = shares[min(pulls, len(shares)) - 1] if shares else 0
    return Explained(
        movie_id,
        tuple(one for one in titles if one.share >= least),
        tuple(one for one in words if abs(one.share) >= least)[:pulls],
    )


def _recommender(store: ObjectStore, version: str) -> Recommender:
    files = {name: store.get(artifact.key(version, name)) for name in artifact.SERVING_FILES}
    arrays = {n: encoding.load_npy(n, b) for n, b in files.items() if n.endswith(".npy")}
    return Recommender.of(files, arrays)
