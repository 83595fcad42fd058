"""A search keeps every trial, spends its budget and no more, and never sees the test part."""

import argparse
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from functions.train_als import search, tuner
from functions.train_als.search import Space
from functions.train_als.tuner import Budget, Tuner
from movierec.errors import ArtifactError, CapacityError, StoreError, UsageError
from movierec.model import dataset as datasets
from movierec.model import sealed_folder, tuning
from movierec.model.dataset import TRAIN
from movierec.model.segments import GROUPS
from movierec.model.validation import validation_split
from movierec.testing.memory import FakeClock, MemoryStore
from tests.unit.movierec.model.tastes import tasteful

SPACE = Space(32, 10)
FACTS = {"objective": "NDCG@20", "space": SPACE.facts(), "budget": {}, "validation": "a tenth"}


class Disk(MemoryStore):
    """A store that is full after so many puts."""

    def __init__(self, room):
        super().__init__()
        self.room = room

    def put(self, key, body):
        self._take()
        super().put(key, body)

    def put_if_absent(self, key, body):
        self._take()
        super().put_if_absent(key, body)

    def _take(self):
        self.room -= 1
        if self.room < 0:
            raise StoreError("no space left on device")


class Stopwatch:
    """Moves by a second each time that it is read."""

    def __init__(self):
        self.at_s = 0.0

    def __call__(self):
        self.at_s += 1
        return self.at_s


def tuner_of(store, trials, minutes=1e9, say=lambda value: None):
    study = tuning.Study(store, "one/now")
    if not list(store.keys("tuning/one/now/study.json")):
        study.open(FACTS)
    data = validation_split(tasteful(1))
    return Tuner(study, data, SPACE, Budget(trials, minutes), 1, say, Stopwatch())


def test_every_trial_is_kept_and_the_best_is_the_result():
    store = MemoryStore()
    report = tuner_of(store, 6).run()
    study = tuning.Study(store, "one/now")
    assert study.trials() == report["trials"]
    assert len(report["trials"]) == 6
    best = search.best(report["trials"])
    found = tuning.chosen(store)
    assert found.parameters == report["parameters"] == best["parameters"]
    assert found.facts == {
        **FACTS,
        "study": "one/now",
        "trials": 6,
        "score": best["score"],
        "score_of_defaults": report["trials"][0]["score"],
    }
    assert best["score"] >= report["trials"][0]["score"] > 0


def test_the_best_iterations_are_those_of_the_highest_score_on_the_way():
    trial = tuner_of(MemoryStore(), 1).run()["trials"][0]
    assert list(trial["scores"]) == ["5", "10"]
    best = max(trial["scores"], key=trial["scores"].get)
    assert trial["parameters"]["iterations"] == int(best)
    assert trial["score"] == trial["scores"][best]


def without_time(report):
    return [{**trial, "seconds": 0} for trial in report["trials"]]


@pytest.mark.parametrize("done", [1, 4])
def test_a_search_that_was_killed_goes_on_with_the_trials_that_are_kept(done):
    killed = MemoryStore()
    tuner_of(killed, 8).study  # noqa: B018  opened
    whole = tuner_of(MemoryStore(), 8).run()
    for number, trial in enumerate(whole["trials"][:done]):
        tuning.Study(killed, "one/now").keep(number, trial)
    assert without_time(tuner_of(killed, 8).run()) == without_time(whole)


def test_a_full_disk_is_said_and_loses_no_trial():
    # The study, then three objects a trial: the third trial finds no room.
    store = Disk(room=1 + 2 * 3)
    with pytest.raises(StoreError, match="2 trials are kept") as full:
        tuner_of(store, 6).run()
    assert "no space left" in str(full.value)
    assert "--resume" in str(full.value)
    assert len(tuning.Study(store, "one/now").trials()) == 2
    store.room = 100
    assert without_time(tuner_of(store, 6).run()) == without_time(tuner_of(MemoryStore(), 6).run())


def test_a_trial_whose_result_found_no_room_is_kept_all_the_same():
    store = Disk(room=1 + 3 + 1)
    with pytest.raises(StoreError, match="2 trials are kept"):
        tuner_of(store, 6).run()
    assert len(tuning.Study(store, "one/now").trials()) == 2


def test_the_time_is_of_all_trials_also_of_those_before_a_resume():
    store = MemoryStore()
    tuner_of(store, 50, minutes=1).run()
    first = tuning.Study(store, "one/now").trials()
    assert 1 <= len(first) < 50
    assert tuner_of(store, 50, minutes=1).run()["trials"] == first


def test_progress_says_trial_score_and_best():
    said: list[dict[str, Any]] = []
    tuner_of(MemoryStore(), 2, say=said.append).run()
    assert said[0]["trial"] == 1
    assert said[0]["of"] == 2
    assert said[0]["iterations"] == 5
    assert said[-1]["best"] >= said[-1]["score"]


def test_the_test_part_changes_nothing():
    """Whatever users did in it, and whichever movies: the search is the same."""
    data = tasteful(1)
    rng = np.random.default_rng(0)
    later = data.part != TRAIN
    strength = np.where(later, rng.random(len(later)), data.strength).astype(np.float32)
    movies = np.where(later, rng.permutation(data.movies), data.movies).astype(np.int32)
    reports = [
        replace(tuner_of(MemoryStore(), 2), data=validation_split(one)).run()
        for one in (data, replace(data, strength=strength, movies=movies))
    ]
    assert without_time(reports[0]) == without_time(reports[1])


# The command's process ------------------------------------------------------------------------


def published():
    files = datasets.pack(tasteful(1))
    files[sealed_folder.MANIFEST_FILE] = sealed_folder.seal(files, {"groups": list(GROUPS)})
    return MemoryStore({datasets.key("one", name): body for name, body in files.items()})


def called(store, clock=None, **given):
    values = {"dataset": "one", "trials": 2, "minutes": 9.0, "memory_mb": 4096, "resume": False}
    return tuner.tune(store, argparse.Namespace(**{**values, **given}), clock or FakeClock())


def test_a_new_search_is_named_by_its_time_and_resumed_by_its_data_set():
    store, clock = published(), FakeClock()
    first = called(store, clock)
    assert first["tuning"]["study"] == "one/20261120T101500Z"
    assert first["tuning"]["budget"] == {"trials": 2, "minutes": 9.0}
    assert first["tuning"]["objective"] == "NDCG@20"
    clock.advance(3600)
    resumed = called(store, clock, trials=3, resume=True)
    assert resumed["tuning"]["study"] == first["tuning"]["study"]
    assert resumed["trials"][:2] == first["trials"]
    clock.advance(3600)
    assert called(store, clock)["tuning"]["study"] == "one/20261120T121500Z"


def test_a_search_of_another_space_is_not_resumed():
    store = published()
    called(store)
    key = "tuning/one/20261120T101500Z/study.json"
    store.put(key, store.get(key).replace(b'"alpha"', b'"beta"'))
    with pytest.raises(UsageError, match="another space"):
        called(store, resume=True)


@pytest.mark.parametrize(
    ("given", "error", "complaint"),
    [
        ({"trials": 0}, UsageError, "budget"),
        ({"minutes": 0.0}, UsageError, "budget"),
        ({"resume": True}, UsageError, "without --resume"),
        ({"dataset": "other"}, ArtifactError, "no data set other"),
        ({"dataset": ""}, UsageError, "name a data set"),
        ({"memory_mb": 10}, CapacityError, "takes about"),
    ],
)
def test_what_cannot_be_searched_is_refused(given, error, complaint):
    store = published()
    with pytest.raises(error, match=complaint):
        called(store, **given)
    assert not list(store.keys(tuning.PREFIX))
