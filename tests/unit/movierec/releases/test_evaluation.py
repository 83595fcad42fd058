"""An evaluation keeps through JSON, and its verdict can be computed again from its trials."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from movierec.errors import ArtifactError
from movierec.model import sealed_folder
from movierec.releases import evaluation, sequential_test
from movierec.releases.evaluation import Evaluation, judge, replay, trials_key
from movierec.releases.policy import Policy
from movierec.releases.sequential_test import Trials

AT = datetime(2026, 11, 20, 10, 15, 0, 123456, tzinfo=UTC)
POLICY = Policy(min_trials=10)
BLANK = Evaluation(
    release_id="r1",
    at=AT,
    until=AT,
    lake_versions={"events": 4, "served": 2},
    versions={"3": {"model_version": "m3", "HitRate": 0.5}},
    overall={"Availability": None},
)


def trials(stable=(20, 50), canary=(5, 50)):
    """Return trials with so many hits of so many; weight one half."""
    found = [(side, i < hits) for side, (hits, n) in enumerate((stable, canary)) for i in range(n)]
    sides, hits = np.array(found, np.bool_).T
    mixed = np.random.default_rng(1).permutation(len(sides))
    return Trials(canary=sides[mixed], hit=hits[mixed], weight=np.full(len(sides), 0.5))


def judged(found):
    body = sequential_test.pack(found)
    stored = replace(BLANK, trials_key="k", trials_sha256=sealed_folder.checksum(body)["sha256"])
    return judge(stored, found, POLICY), body


def test_an_evaluation_keeps_through_json():
    found, _ = judged(trials())
    for one in (found, BLANK, replace(BLANK, until=None, release_id=None)):
        assert Evaluation.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_a_refused_evaluation_keeps_its_reason_and_others_are_stored_as_ever():
    refused = replace(BLANK, refused="no line of the site")
    assert Evaluation.from_json(json.loads(json.dumps(refused.to_json()))) == refused
    assert evaluation.sentence(refused.to_json()) == "not evaluated: no line of the site"
    assert "refused" not in BLANK.to_json()


def test_counts_bounds_and_verdict_are_those_of_the_trials():
    found, _ = judged(trials())
    bounds = sequential_test.bounds(trials(), POLICY)
    assert (found.trials, found.hits) == (
        {"stable": 50, "canary": 50},
        {"stable": 20, "canary": 5},
    )
    assert (found.difference, found.lower, found.upper) == (
        bounds.effect,
        bounds.lower,
        bounds.upper,
    )
    assert found.verdict == sequential_test.verdict(bounds, POLICY)


@pytest.mark.parametrize("few", [trials((2, 5), (1, 5)), trials((2, 50), (0, 0))])
def test_without_enough_trials_there_are_no_bounds(few):
    found = judge(BLANK, few, POLICY)
    assert (found.difference, found.lower, found.upper) == (None, None, None)
    assert found.verdict == "unclear"
    json.dumps(found.to_json(), allow_nan=False)


def test_a_replay_gives_the_same_evaluation():
    found, body = judged(trials())
    assert replay(found, body, POLICY) == found


def test_a_replay_tells_a_verdict_that_the_trials_do_not_bear():
    found, body = judged(trials())
    assert replay(replace(found, verdict="fine", upper=0.5), body, POLICY) == found


def test_trials_that_were_changed_after_the_look_are_not_replayed():
    found, _ = judged(trials())
    with pytest.raises(ArtifactError, match="changed after"):
        replay(found, sequential_test.pack(trials(canary=(6, 50))), POLICY)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"at": "today"}, "today"),
        ({"at": "2026-11-20T10:00:00"}, "zone"),
        ({"until": 5}, "until|fromisoformat"),
        ({"verdict": "splendid"}, "splendid"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_no_evaluation_is_refused(change, complaint):
    with pytest.raises(ArtifactError, match=complaint):
        Evaluation.from_json(BLANK.to_json() | change)


@pytest.mark.parametrize("value", [None, [], "text", {}])
def test_other_json_is_refused(value):
    with pytest.raises(ArtifactError, match="evaluation"):
        Evaluation.from_json(value)


def test_keys_of_trials_sort_by_time_and_lie_with_the_release():
    later = AT.replace(microsecond=123457)
    assert trials_key("r1", AT) == "releases/r1/trials/20261120T101500123456Z.npz"
    assert trials_key("r1", AT) < trials_key("r1", later)
    assert evaluation.trials_key("r2", AT) != trials_key("r1", AT)
