"""Rating prediction on MovieLens 1M: RMSE and MAE over five random folds, and the time it takes.

Each rating is held out once. Beside the product's model, on the same folds: mean and biases, and
the same without implicit terms, which is plain matrix factorisation. The rival is SVD++ of the
library Surprise, as its authors publish it for five random folds: RMSE 0.862, MAE 0.672, 35
minutes.

    python -m bench.rating [--data FOLDER] [--folds N]
"""

import argparse
import gzip
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np

from bench.benchmark_report import ROOT, Row, publish
from functions.train_als.rating_model import Parameters, RatingModel
from movierec.model.encoding import Array
from movierec.model.rating_evaluation import errors
from movierec.model.ratings import Biases, RatingPredictor, Ratings

FOLDS: Final = 5
PROCESSES: Final = 2
RMSE_GOAL: Final = 0.850
# A tenth of the rival's time. Both are of one thread: a busy machine does not count.
CPU_GOAL_S: Final = 210.0

RIVAL: Final = "Surprise SVD++, published"
RIVAL_RMSE: Final = 0.862
RIVAL_MAE: Final = 0.672
RIVAL_S: Final = 2_100.0
DATA: Final = ROOT.parent / "shared" / "data"


Errors = dict[str, dict[str, float]]
"""By model, then by measure."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write build/bench/rating.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="has ml-1m/ratings.csv.gz")
    parser.add_argument("--folds", type=int, default=FOLDS, help="of the five, for a short look")
    given = parser.parse_args(arguments)
    found = rows(given.data, folds=given.folds)
    if not found:
        print(f"{given.data} has no MovieLens 1M: name its folder with --data")
        return 2
    publish("rating", found, folds=given.folds, processes=PROCESSES)
    return 0 if all(row.ok is not False for row in found) else 1


def rows(data: Path = DATA, *, folds: int = FOLDS) -> list[Row]:
    """Return the measured rows; none where the data set is not there."""
    path = data / "ml-1m" / "ratings.csv.gz"
    if not path.is_file():
        return []
    jobs = [(path, number) for number in range(folds)]
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        started_s = time.monotonic()
        product = list(pool.map(_product, *zip(*jobs, strict=True)))
        took_s = time.monotonic() - started_s
        others = list(pool.map(_others, *zip(*jobs, strict=True)))
    cpu_s = sum(seconds for _, seconds in product)
    return _table(_mean([found for found, _ in product]), _mean(others), took_s, cpu_s)


def _table(product: Errors, others: Errors, took_s: float, cpu_s: float) -> list[Row]:
    name, ours = "MovieLens 1M, random folds: ", product["product"]
    found = [
        Row(f"{name}RMSE", ours["rmse"], "", goal=RMSE_GOAL, rival=RIVAL, rival_value=RIVAL_RMSE),
        Row(f"{name}MAE", ours["mae"], "", rival=RIVAL, rival_value=RIVAL_MAE),
        Row(f"{name}CPU time", cpu_s, "s", goal=CPU_GOAL_S, rival=RIVAL, rival_value=RIVAL_S),
        Row(f"{name}time in {PROCESSES} processes", took_s, "s"),
    ]
    for label, theirs in others.items():
        for measure in ("rmse", "mae"):
            figure = f"{name}{measure.upper()}"
            found.append(Row(figure, ours[measure], "", rival=label, rival_value=theirs[measure]))
    return found


def _mean(folds: Sequence[Errors]) -> Errors:
    return {
        label: {m: float(np.mean([fold[label][m] for fold in folds])) for m in measures}
        for label, measures in folds[0].items()
    }


def _product(path: Path, number: int) -> tuple[Errors, float]:
    train, test = _split(path, number)
    started_s = time.process_time()
    found = _errors(RatingModel.fit(train, Parameters()), test)
    return {"product": found}, time.process_time() - started_s


def _others(path: Path, number: int) -> Errors:
    train, test = _split(path, number)
    plain = RatingModel.fit(train, Parameters(implicit_terms=False))
    return {
        "mean and biases": _errors(Biases.fit(train), test),
        "without implicit terms": _errors(plain, test),
    }


def _errors(model: RatingPredictor, test: Ratings) -> dict[str, float]:
    return errors(model.predict(test.users, test.movies), test.values)


def _split(path: Path, number: int) -> tuple[Ratings, Ratings]:
    with gzip.open(path, "rt") as file:
        user_ids, movie_ids, values = np.loadtxt(
            file, dtype=np.int64, delimiter=",", skiprows=1, unpack=True
        )
    users = np.unique(user_ids, return_inverse=True)[1]
    movies = np.unique(movie_ids, return_inverse=True)[1]
    folds = np.random.default_rng(0).permutation(len(values)) % FOLDS
    test = folds == number
    return _of(users, movies, values, ~test), _of(users, movies, values, test)


def _of(users: Array, movies: Array, values: Array, keep: Array) -> Ratings:
    shape = int(users.max()) + 1, int(movies.max()) + 1
    return Ratings(users[keep], movies[keep], values[keep].astype(np.float64), *shape)


if __name__ == "__main__":
    sys.exit(main())
