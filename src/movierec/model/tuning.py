"""Results of `movierec tune`, in the artifacts bucket, for people and for the next retraining.

    tuning/<dataset_id>/<study>/study.json       objective, budget, search space, written first
    tuning/<dataset_id>/<study>/trial-0007.json  one trial, written once, when it ends
    tuning/<dataset_id>/<study>/result.json      the best so far, as `Chosen` reads it
    tuning/latest.json                           {"study": "<dataset_id>/<study>"}, the newest

Every write is of one whole object. A search that is killed loses the trial under way and no other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from movierec.errors import ArtifactError, ObjectNotFoundError
from movierec.model.encoding import dump_json, load_json
from movierec.ports import ObjectStore

PREFIX: Final = "tuning/"
LATEST: Final = f"{PREFIX}latest.json"
_STUDY_FILE: Final = "study.json"
_RESULT_FILE: Final = "result.json"

DEFAULTS: Final = "defaults"
"""A manifest's `tuning` where no search was asked for."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The parameters that a search has found, and what a manifest says of it."""

    parameters: Mapping[str, Any]
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Study:
    """One search on one data set, in the store."""

    store: ObjectStore
    name: str
    """<dataset_id>/<study>."""

    def open(self, facts: Mapping[str, Any]) -> None:
        """Begin: write what is searched."""
        self.store.put_if_absent(self._key(_STUDY_FILE), dump_json(facts))

    def facts(self) -> dict[str, Any]:
        """Return what is searched. Raises ObjectNotFoundError."""
        return self._read(_STUDY_FILE)

    def trials(self) -> list[dict[str, Any]]:
        """Return the trials that have ended, in their order."""
        keys = self.store.keys(self._key("trial-"))
        return [load_json(key, self.store.get(key)) for key in keys]

    def keep(self, number: int, trial: Mapping[str, Any]) -> None:
        """Write a trial that has ended."""
        self.store.put_if_absent(self._key(f"trial-{number:04}.json"), dump_json(trial))

    def conclude(self, parameters: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Write the best parameters, and make this study the newest."""
        result = {"parameters": dict(parameters), "tuning": {**facts, "study": self.name}}
        self.store.put(self._key(_RESULT_FILE), dump_json(result))
        self.store.put(LATEST, dump_json({"study": self.name}))

    def result(self) -> Chosen:
        """Return the best parameters. Raises ArtifactError."""
        try:
            found = self._read(_RESULT_FILE)
            return Chosen(found["parameters"], found["tuning"])
        except (ObjectNotFoundError, KeyError, TypeError) as exc:
            raise ArtifactError(
                f"there is no result of the search {self.name}: run `movierec tune`, or train"
                " without --tuned"
            ) from exc

    def _read(self, name: str) -> dict[str, Any]:
        return dict(load_json(name, self.store.get(self._key(name))))

    def _key(self, name: str) -> str:
        return f"{PREFIX}{self.name}/{name}"


def newest_of(store: ObjectStore, dataset_id: str) -> Study | None:
    """Return a data set's newest study, None without one; their names sort by time."""
    keys = store.keys(f"{PREFIX}{dataset_id}/")
    names = {key.removeprefix(PREFIX).rpartition("/")[0] for key in keys if _STUDY_FILE in key}
    return Study(store, max(names)) if names else None


def chosen(store: ObjectStore, which: bool | str = True) -> Chosen:  # noqa: FBT001, FBT002  an event's value
    """Return the parameters of a study by name, or of the newest. Raises ArtifactError."""
    if isinstance(which, str):
        return Study(store, which).result()
    try:
        latest = load_json(LATEST, store.get(LATEST))["study"]
    except (ObjectNotFoundError, KeyError, TypeError) as exc:
        raise ArtifactError(
            "no search for parameters has ended yet: run `movierec tune`, or train without --tuned"
        ) from exc
    return Study(store, str(latest)).result()
