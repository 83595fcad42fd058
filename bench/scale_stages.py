"""One stage of training at scale, in a process of its own, so that its peak memory is its own.

    python -m bench.scale_stages FOLDER STAGE

Stages hand their results on as files in FOLDER. The last line of the output is the stage's usage.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from aws_lambda_powertools import Logger, Metrics
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no types

from functions.build_dataset import handler as build_dataset
from functions.train_als import als, list_choice
from movierec.aws.delta_lake import DeltaLake
from movierec.errors import ObjectExistsError, ObjectNotFoundError
from movierec.model import artifact, encoding, list_assembly, offline_evaluation
from movierec.model import dataset as datasets
from movierec.model.dataset import TRAIN, Dataset
from movierec.model.fitted import Exclusions, Factors
from movierec.runtime.stage_usage import StageUsage

THREADS: Final = 2
BLENDED_USERS: Final = 10_000
_DATASET: Final = "dataset_id"


class FolderStore:
    """`movierec.ports.ObjectStore` on a local folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> bytes:
        """Return a file's bytes. Raises ObjectNotFoundError."""
        try:
            return (self._folder / key).read_bytes()
        except FileNotFoundError as exc:
            raise ObjectNotFoundError(key) from exc

    def put(self, key: str, body: bytes) -> None:
        """Write a file."""
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    def put_if_absent(self, key: str, body: bytes) -> None:
        """Write a file that must not exist. Raises ObjectExistsError."""
        if (self._folder / key).exists():
            raise ObjectExistsError(key)
        self.put(key, body)

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that start with `prefix`."""
        paths = (path for path in self._folder.rglob("*") if path.is_file())
        keys = sorted(str(path.relative_to(self._folder)) for path in paths)
        return (key for key in keys if key.startswith(prefix))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete files."""
        for key in tuple(keys):
            (self._folder / key).unlink(missing_ok=True)

    def download(self, key: str, path: Path) -> None:
        """Copy a file."""
        path.write_bytes(self.get(key))


@dataclass(frozen=True, slots=True)
class _Stage:
    folder: Path
    usage: StageUsage
    parameters: als.Parameters

    def dataset(self) -> None:
        """Build and publish the data set as the function does."""
        deps = build_dataset.Dependencies(
            lake=DeltaLake(str(self.folder / "lake")),
            store=FolderStore(self.folder),
            code_version="bench",
            logger=Logger(service="bench", level="WARNING"),
            metrics=Metrics(namespace="bench", service="bench"),
        )
        with self.usage.stage("dataset"):
            answer = build_dataset.build_dataset({}, deps)
        (self.folder / _DATASET).write_text(answer["dataset_id"], encoding="ascii")

    def fit_train(self) -> None:
        """Fit the model that is evaluated."""
        self._fit("fit_train", lambda dataset: dataset.part == TRAIN)

    def fit_all(self) -> None:
        """Fit the model that is published."""
        self._fit("fit_all", lambda dataset: np.ones(len(dataset.movies), np.bool_))

    def _fit(self, name: str, keep: Callable[[Dataset], Any]) -> None:
        with self.usage.stage("load"):
            dataset = self._load()
        with self.usage.stage(name):
            fitted = als.AlsModel.fit(dataset, keep(dataset), self.parameters, threads=THREADS)
        factors = fitted.factors
        np.save(self.folder / f"{name}_users.npy", factors.users)
        np.save(self.folder / f"{name}_movies.npy", factors.movies)
        np.save(self.folder / f"{name}_regularization.npy", fitted.regularization)

    def evaluation(self) -> None:
        """Evaluate the model of TRAIN as the function does."""
        dataset, fitted = self._load(), self._fitted("fit_train")
        with self.usage.stage("evaluation"):
            metrics = offline_evaluation.evaluate(dataset, fitted)
        (self.folder / "metrics.json").write_bytes(encoding.dump_json(metrics))

    def lists(self) -> None:
        """Make the artifact's files, with the list of every user."""
        dataset, fitted = self._load(), self._fitted("fit_all")
        with self.usage.stage("lists"):
            files = artifact.pack(list_assembly.assemble(dataset, fitted, fitted.factors))
        (self.folder / "topk.npy").write_bytes(files["topk.npy"])

    def blend(self) -> None:
        """Fit item-to-item weights, and make the blended lists of some users."""
        dataset, factors = self._load(), self._fitted("fit_all")
        everything = np.ones(len(dataset.movies), np.bool_)
        with self.usage.stage("blend_weights"):
            mixed = list_choice.blended(
                dataset, everything, factors, list_choice.Parameters.read({})
            )
        exclusions = Exclusions.of(dataset, everything)
        users = np.arange(min(BLENDED_USERS, len(dataset.user_ids)))
        with self.usage.stage("blend_lists"):
            mixed.top(users, artifact.TOP_K, exclusions)

    def implicit(self) -> None:
        """Fit and recommend as the library's users do, on the same confidences."""
        dataset = self._load()
        everything = np.ones(len(dataset.movies), np.bool_)
        confidence = als.confidences(dataset, everything, self.parameters.alpha)
        wanted = self.parameters
        with threadpool_limits(limits=1, user_api="blas"):
            model = AlternatingLeastSquares(
                factors=wanted.factors,
                regularization=wanted.regularization * als.bai_yin_edge(confidence),
                iterations=wanted.iterations,
                random_state=wanted.seed,
                num_threads=THREADS,
            )
            with self.usage.stage("implicit_fit"):
                model.fit(confidence, show_progress=False)
            with self.usage.stage("implicit_lists"):
                for start in range(0, confidence.shape[0], 10_000):
                    rows = np.arange(start, min(start + 10_000, confidence.shape[0]))
                    model.recommend(rows, confidence[rows], N=50)

    def _load(self) -> Dataset:
        dataset_id = (self.folder / _DATASET).read_text(encoding="ascii")
        return datasets.load(FolderStore(self.folder), dataset_id)

    def _fitted(self, name: str) -> als.AlsModel:
        users = np.load(self.folder / f"{name}_users.npy")
        movies = np.load(self.folder / f"{name}_movies.npy")
        regularization = float(np.load(self.folder / f"{name}_regularization.npy"))
        return als.AlsModel(Factors(users, movies), THREADS, regularization)


STAGES: Final[Mapping[str, Callable[[_Stage], None]]] = {
    "dataset": _Stage.dataset,
    "fit_train": _Stage.fit_train,
    "evaluation": _Stage.evaluation,
    "fit_all": _Stage.fit_all,
    "lists": _Stage.lists,
    "implicit": _Stage.implicit,
    "blend": _Stage.blend,
}
"""In the order in which they run."""


def main() -> None:
    """Run the stage that the command line names."""
    folder, name = Path(sys.argv[1]), sys.argv[2]
    stage = _Stage(folder, StageUsage(), als.Parameters())
    STAGES[name](stage)
    print(json.dumps(stage.usage.stages))


if __name__ == "__main__":
    main()
