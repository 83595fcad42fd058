"""Quality of recommendations beside published models, on public data and the simulator's.

python -m bench.quality                                     everything
python -m bench.quality --train F --test F [--fold-in F]    any split, as lines of user and item
"""

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import (
    interaction_splits,
    leave_one_out,
    rating,
    simulated_tastes,
    strong_generalisation,
)
from bench.benchmark_report import Row, publish, table
from bench.interaction_splits import DATA, Split

_SEEDS = "1,2,3"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write build/bench/quality.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, help="lines of a user's and an item's id")
    parser.add_argument("--test", type=Path, help="what is to be found, likewise")
    parser.add_argument("--fold-in", type=Path, help="what is known of test users not in --train")
    parser.add_argument("--seeds", default=_SEEDS, help="of the users held out, by comma")
    parser.add_argument("--threads", type=int, default=os.process_cpu_count() or 1)
    given = parser.parse_args(arguments)
    if (given.train is None) != (given.test is None) or (given.fold_in and not given.train):
        parser.error("--train and --test belong together, and --fold-in to them")
    facts: dict[str, Any] = {}
    if given.train:
        split = Split.of_files(given.train, given.test, given.fold_in)
        facts["parameters"], scored = strong_generalisation.run(split, given.threads)
        publish("quality-files", strong_generalisation.rows("files", scored, None), **facts)
        return 0
    seeds = [int(seed) for seed in given.seeds.split(",")]
    rows = [*_movielens(given.threads, facts, seeds), *simulated_tastes.run(given.threads)]
    publish("quality", rows, **facts)
    return 0 if all(row.ok is not False for row in rows) else 1


def _movielens(threads: int, facts: dict[str, Any], seeds: Sequence[int]) -> list[Row]:
    if not DATA.is_dir():
        print("left out: MovieLens 1M is not beside this checkout (../shared/data)")
        return []
    ratings = interaction_splits.movielens_1m(DATA)
    pairs = interaction_splits.liked(ratings)
    found = []
    for seed in seeds:
        started = time.monotonic()
        chosen, scored = strong_generalisation.run(Split.of_users(pairs, seed), threads)
        facts[f"strong generalisation, seed {seed}"] = chosen
        measured = strong_generalisation.rows(f"ML-1M, seed {seed}", scored)
        print(f"{table(measured)}\n{time.monotonic() - started:.0f} s\n", flush=True)
        found += measured
    facts["left out"], rows = leave_one_out.run(ratings, threads)
    return [*found, *rows, *rating.rows()]


if __name__ == "__main__":
    raise SystemExit(main())
