"""The process of `movierec tune`: search for parameters by the training function's own code.

    python -m functions.train_als.tuner [--dataset ID] [--trials N] [--minutes M] [--resume]

It writes JSON objects to standard output, one a line, each with one key: `progress` after each
checkpoint of a trial, and at the end `report` or `error`.

Parameters are judged by NDCG@20 on the newest tenth of TRAIN after fitting the rest; the data set's
test part is never read (`movierec.model.validation`).
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from functions.train_als import als, capacity, search
from functions.train_als.handler import require_trainable
from functions.train_als.search import Space
from movierec import settings
from movierec.aws.s3_store import S3Store
from movierec.errors import MovierecError, ObjectNotFoundError, StoreError, UsageError
from movierec.model import artifact, offline_metrics, sealed_folder, tuning
from movierec.model import dataset as datasets
from movierec.model.dataset import TEST, TRAIN, Dataset
from movierec.model.fitted import Exclusions, Factors, FittedModel
from movierec.model.ranking import LIST_LENGTH
from movierec.model.sparse_rows import row_numbers
from movierec.model.validation import VALIDATION_SHARE, validation_split
from movierec.ports import Clock, ObjectStore
from movierec.runtime.clock import SystemClock

OBJECTIVE: Final = f"NDCG@{LIST_LENGTH}"

# NDCG of so many has a standard error of about 0.001; parameters are compared on the same users.
_MOST_USERS: Final = 20_000

_TRIALS: Final = 30
_MINUTES: Final = 60.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What a search may take in all, with what it took before it was resumed."""

    trials: int = _TRIALS
    minutes: float = _MINUTES

    def __post_init__(self) -> None:
        """Raise UsageError for a budget of nothing."""
        if self.trials < 1 or not self.minutes > 0:
            raise UsageError("a search needs a budget: one trial or more, and more than 0 minutes")


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """NDCG@20 of some users' lists on a validation part."""

    users: Any
    rows: Any
    movies: Any
    exclusions: Exclusions
    n_movies: int

    @classmethod
    def of(cls, data: Dataset, most_users: int = _MOST_USERS) -> "Objective":
        """Return the objective on TEST of a data set, by an even sample of its users."""
        rows, liked = row_numbers(data.indptr), (data.part == TEST) & (data.strength > 0)
        users = np.unique(rows[liked])
        users = users[:: -(-len(users) // most_users)]
        place = np.full(len(data.user_ids), -1)
        place[users] = np.arange(len(users))
        liked &= place[rows] >= 0
        return cls(
            users,
            place[rows[liked]],
            data.movies[liked],
            Exclusions.of(data, data.part == TRAIN),
            len(data.movie_ids),
        )

    def score(self, fitted: FittedModel) -> float:
        """Return a model's mean."""
        lists = fitted.top(self.users, LIST_LENGTH, self.exclusions)
        nothing = np.zeros(self.n_movies)
        return float(offline_metrics.per_user(lists, self.rows, self.movies, nothing).ndcg.mean())


@dataclass(frozen=True, slots=True, eq=False)
class Tuner:
    """Does the trials of one study."""

    study: tuning.Study
    data: Dataset
    """With its validation part as TEST."""
    space: Space
    budget: Budget
    threads: int
    say: Callable[[Mapping[str, Any]], None]
    now_s: Callable[[], float] = time.monotonic

    def run(self) -> dict[str, Any]:
        """Do the trials that are left, keep each, and return the report. Raises StoreError."""
        trials, objective = self.study.trials(), Objective.of(self.data)
        confidence: dict[float, Any] = {}
        while len(trials) < self.budget.trials and self.left_s(trials) > 0:
            trial = self._trial(trials, objective, confidence)
            if not trial["scores"]:
                break
            self._keep(trials, trial)
        if not trials:
            raise UsageError(
                f"{self.budget.minutes:g} minutes are too short for one trial of"
                f" {self.space.checkpoints[0]} iterations: raise --budget-minutes"
            )
        return self._report(trials)

    def _trial(
        self, trials: Sequence[search.Trial], objective: Objective, confidence: dict[float, Any]
    ) -> dict[str, Any]:
        wanted = search.propose(self.space, trials, self.budget.trials)
        watch = _Watch(self, trials, objective, self.now_s())
        if wanted.alpha not in confidence:
            confidence.clear()  # one at a time: it is as large as the data set
            kept = self.data.part == TRAIN
            confidence[wanted.alpha] = als.confidences(self.data, kept, wanted.alpha)
        als.fit(confidence[wanted.alpha], wanted, threads=self.threads, go_on=watch)
        iterations = max(watch.scores, key=lambda at: watch.scores[at], default=0)
        return {
            "parameters": {**asdict(wanted), "iterations": iterations},
            "score": watch.scores.get(iterations, 0.0),
            "scores": {str(at): score for at, score in watch.scores.items()},
            "seconds": self.now_s() - watch.started_s,
        }

    def _keep(self, trials: list[dict[str, Any]], trial: dict[str, Any]) -> None:
        try:
            self.study.keep(len(trials), trial)
            trials.append(trial)
            self._conclude(trials)
        except StoreError as exc:
            raise StoreError(
                f"{exc}; {len(trials)} trials are kept as {self.study.name}: make room, then"
                " `movierec tune --resume` goes on with them"
            ) from exc

    def _conclude(self, trials: Sequence[search.Trial]) -> None:
        found = search.best(trials)
        facts = {**self.study.facts(), "trials": len(trials), "score": found["score"],
                 "score_of_defaults": trials[0]["score"]}  # fmt: skip
        self.study.conclude(found["parameters"], facts)

    def _report(self, trials: Sequence[search.Trial]) -> dict[str, Any]:
        result = self.study.result()
        return {"parameters": result.parameters, "tuning": result.facts, "trials": list(trials)}

    def left_s(self, trials: Sequence[search.Trial]) -> float:
        """Return the budget's seconds that these trials have left."""
        used_s = sum(float(trial["seconds"]) for trial in trials)
        return self.budget.minutes * 60 - used_s

    def goes_on(
        self, trials: Sequence[search.Trial], checkpoint: int, score: float, used_s: float
    ) -> bool:
        """Return whether a trial that was scored at a checkpoint goes on; say how far it is."""
        highest = max([score, *(trial["score"] for trial in trials)])
        self.say({"trial": len(trials) + 1, "of": self.budget.trials, "iterations": checkpoint,
                  "score": score, "best": highest})  # fmt: skip
        hopeless = search.is_hopeless(trials, checkpoint, score)
        return not hopeless and used_s < self.left_s(trials)


@dataclass(slots=True)
class _Watch:
    """An `als.GoOn` that scores a fit at each checkpoint."""

    tuner: Tuner
    trials: Sequence[search.Trial]
    objective: Objective
    started_s: float
    scores: dict[int, float] = field(default_factory=dict)

    def __call__(self, iterations: int, factors: Factors) -> bool:
        used_s = self.tuner.now_s() - self.started_s
        if iterations not in self.tuner.space.checkpoints:
            # The first trial is scored once at least, however short the time is.
            return bool(not self.trials or used_s < self.tuner.left_s(self.trials))
        score = self.objective.score(als.AlsModel(factors, self.tuner.threads))
        self.scores[iterations] = score
        return self.tuner.goes_on(self.trials, iterations, score, used_s)


def study_of(
    store: ObjectStore, dataset_id: str, *, resume: bool, clock: Clock, facts: Mapping[str, Any]
) -> tuning.Study:
    """Return a new study, or the data set's newest to be gone on with. Raises UsageError."""
    if not resume:
        study = tuning.Study(store, f"{dataset_id}/{clock.now():%Y%m%dT%H%M%SZ}")
        study.open({**facts, "created_at": clock.now().isoformat()})
        return study
    if (found := tuning.newest_of(store, dataset_id)) is None:
        raise UsageError(f"data set {dataset_id} has no search to resume: run without --resume")
    known = found.facts()
    if different := sorted(name for name in ("objective", "space") if known[name] != facts[name]):
        raise UsageError(
            f"the search {found.name} has another {' and '.join(different)}: its trials cannot be"
            " compared with new ones; run without --resume"
        )
    return found


def newest_dataset(store: ObjectStore) -> str:
    """Return the data set of the newest model. Raises UsageError without one."""
    try:
        version = artifact.newest(store)
    except ObjectNotFoundError as exc:
        raise UsageError(
            "name a data set: there is no model yet whose data set could be taken; the answer of"
            " movierec-build-dataset has its id"
        ) from exc
    key = artifact.key(version, sealed_folder.MANIFEST_FILE)
    return str(sealed_folder.open_manifest(store.get(key))["dataset_id"])


def tune(store: ObjectStore, arguments: argparse.Namespace, clock: Clock) -> dict[str, Any]:
    """Search, and return the report. Raises MovierecError."""
    budget = Budget(arguments.trials, arguments.minutes)
    dataset_id = arguments.dataset or newest_dataset(store)
    data = datasets.load(store, dataset_id)
    require_trainable(data)
    threads = os.process_cpu_count() or 1
    limits = capacity.Limits(arguments.memory_mb * 2**20, capacity.LAMBDA_S, threads)
    size = capacity.Size.of(data)
    most = capacity.most_factors(size, limits)
    if not most:
        capacity.plan(size, {}, limits)  # raises with what would fit
    space = Space(most, capacity.iterations(size, search.FACTORS[0], limits))
    facts = {
        "objective": OBJECTIVE,
        "budget": asdict(budget),
        "space": space.facts(),
        "method": "Halton's sequence, then variations of the best; the median rule",
        "validation": f"the newest {VALIDATION_SHARE:.0%} of TRAIN",
        "dataset_id": dataset_id,
    }
    study = study_of(store, dataset_id, resume=arguments.resume, clock=clock, facts=facts)
    return Tuner(study, validation_split(data), space, budget, threads, _say_progress).run()


def _say(key: str, value: object) -> None:
    sys.stdout.write(json.dumps({key: value}) + "\n")
    sys.stdout.flush()


def _say_progress(value: Mapping[str, Any]) -> None:
    _say("progress", value)


def main() -> int:
    """Search as the command line says, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="")
    parser.add_argument("--trials", type=int, default=_TRIALS)
    parser.add_argument("--minutes", type=float, default=_MINUTES)
    parser.add_argument("--memory-mb", type=int, default=4096)
    parser.add_argument("--resume", action="store_true")
    try:
        store = S3Store.from_env(os.environ, settings.ARTIFACTS_BUCKET)
        _say("report", tune(store, parser.parse_args(), SystemClock()))
    except MovierecError as exc:
        _say("error", str(exc))
        return exc.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
