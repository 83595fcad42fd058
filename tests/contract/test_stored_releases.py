"""Releases that earlier code wrote, read and carried on by the present code."""

import json
import logging
from dataclasses import asdict, replace
from datetime import UTC, datetime

import pytest
from aws_lambda_powertools import Logger

from functions.rollback.handler import Alarm, handle_alarm
from functions.rollback.handler import Dependencies as RollbackDependencies
from functions.rollout.handler import Dependencies, act
from movierec.cli import release_format
from movierec.releases import evaluation, state_machine
from movierec.releases.by_hand import ByHand
from movierec.releases.evaluation import Evaluation
from movierec.releases.policy import Policy
from movierec.releases.rollback import close, roll_back
from movierec.releases.traffic_split import TrafficSplit
from movierec.reports import release_report
from movierec.testing.releases import MemoryAsyncInvoker
from tests.contract import stored_before
from tests.contract.stored_before import (
    ALARMED,
    BY_HAND,
    CHANGED_BY_HAND,
    FIRST_MODEL,
    OPEN,
    PROMOTED,
    REFUSED,
    SECOND_MODEL,
    WORSE,
)

POLICY = Policy(
    alpha=0.1,
    margin=0.25,
    min_trials=10,
    sharpest_at_trials=40,
    dwell_s=600.0,
    step_limit_s=7200.0,
    look_s=60.0,
    horizon_s=300.0,
    settle_s=10.0,
)

# What the code that wrote them said of each: state, percent, paused, model, version, stable
# version, steps without holds, reason.
STATES = {
    BY_HAND: ("promoted", 0.0, False, FIRST_MODEL, "1", None, 3, "the first one"),
    PROMOTED: (
        *("promoted", 0.0, False, SECOND_MODEL, "2", "1", 9),
        "held its time with all users",
    ),
    REFUSED: (
        *("aborted", 0.0, False, FIRST_MODEL, None, "2", 2),
        "knows 36 users, fewer than 54, 90% of the stable model's",
    ),
    ALARMED: (
        *("rolled back", 0.0, False, SECOND_MODEL, "3", "2", 6),
        "alarm movierec-canary-3-errors: Threshold Crossed: 3 errors were greater than 1",
    ),
    CHANGED_BY_HAND: (
        *("rolled back", 0.0, False, SECOND_MODEL, "3", "2", 6),
        "thought better of it",
    ),
    WORSE: (
        *("rolled back", 0.0, False, SECOND_MODEL, "4", "2", 6),
        "its lists are watched less than the stable version's",
    ),
    OPEN: ("exposed", 10.0, True, SECOND_MODEL, "5", "2", 6, "passed its smoke test"),
}

POLICIES = {
    BY_HAND: Policy(),
    PROMOTED: POLICY,
    REFUSED: POLICY,
    ALARMED: replace(POLICY, margin=0.3),
    CHANGED_BY_HAND: Policy(),
    WORSE: POLICY,
    OPEN: replace(POLICY, steps=(10.0, 40.0, 100.0), on_busy="replace"),
}

DECISIONS = {
    BY_HAND: [],
    PROMOTED: [
        ("weigh", 5.0, "unclear"),
        ("hold", 5.0, "unclear"),
        ("weigh", 25.0, "fine"),
        ("hold", 25.0, "fine"),
        ("weigh", 50.0, "fine"),
        ("hold", 50.0, "fine"),
        ("weigh", 100.0, "fine"),
        ("hold", 100.0, "fine"),
        ("promote", 100.0, "fine"),
    ],
    REFUSED: [],
    ALARMED: [("weigh", 5.0, "unclear"), ("hold", 5.0, "unclear")],
    CHANGED_BY_HAND: [],
    WORSE: [("weigh", 5.0, "unclear"), ("rollback", 0.0, "worse")],
    OPEN: [("weigh", 10.0, "unclear"), ("hold", 10.0, "unclear"), ("hold", 10.0, "fine")],
}

LISTED = [
    f"{OPEN}  exposed at 10%, paused, {SECOND_MODEL}, version 5: passed its smoke test",
    f"{WORSE}  rolled back, {SECOND_MODEL}, version 4: its lists are watched less than the stable "
    "version's",
    f"{CHANGED_BY_HAND}  rolled back, {SECOND_MODEL}, version 3: thought better of it",
    f"{ALARMED}  rolled back, {SECOND_MODEL}, version 3: alarm movierec-canary-3-errors: Threshold "
    "Crossed: 3 errors were greater than 1",
    f"{REFUSED}  aborted, {FIRST_MODEL}, no version yet: knows 36 users, fewer than 54, 90% of the "
    "stable model's",
    f"{PROMOTED}  promoted, {SECOND_MODEL}, version 2: held its time with all users",
    f"{BY_HAND}  promoted, {FIRST_MODEL}, version 1: the first one",
]

STEPS = {
    PROMOTED: "start gate cut smoke weigh hold weigh hold weigh hold weigh hold promote",
    REFUSED: "start abort",
    ALARMED: "start gate cut smoke weigh hold rollback",
    CHANGED_BY_HAND: "cut smoke route weigh promote rollback",
    OPEN: "start gate cut smoke weigh hold pause hold",
}


@pytest.fixture
def releases():
    return stored_before.releases(stored_before.store())


@pytest.fixture
def rollout(releases):
    return Dependencies(releases, POLICY, Logger(service="stored-test", level=logging.CRITICAL))


def test_every_release_is_listed_as_it_was(releases):
    assert list(releases.log.releases()) == sorted(STATES)
    assert releases.log.open_releases() == (OPEN,)
    newest_first = reversed(releases.log.releases())
    found = [release_format.summary(releases.state_of(name)) for name in newest_first]
    assert [release_format.headline(facts) for facts in found] == LISTED


@pytest.mark.parametrize("release", STATES)
def test_a_release_stands_where_it_stood(releases, release):
    found = releases.state_of(release)
    facts = (found.state, found.percent, found.paused, found.model_version, found.version)
    assert (*facts, found.stable, found.steps, found.reason) == STATES[release]


def test_the_shares_over_time_are_those_that_were_given(releases):
    found = releases.state_of(PROMOTED)
    at = [f"{time:%H:%M:%S} {percent:g}" for time, percent in found.weights]
    assert at == ["08:03:18 5", "08:13:28 25", "08:23:38 50", "08:33:48 100", "08:43:58 0"]
    assert (found.split_before, found.split) == (TrafficSplit("1", "2", 100.0), TrafficSplit("2"))
    assert releases.state_of(OPEN).since == datetime(2026, 11, 20, 6, 22, 6, tzinfo=UTC)
    assert releases.state_of(OPEN).revision == "14"


@pytest.mark.parametrize("release", POLICIES)
def test_a_policy_is_read_as_it_was_written(releases, release):
    assert releases.state_of(release).policy == POLICIES[release]


@pytest.mark.parametrize("release", STEPS)
def test_steps_are_shown_in_their_order(releases, release):
    steps = releases.log.steps(release)
    assert " ".join(step.name for step in steps) == STEPS[release]
    assert all(release_format.timeline(step) for step in steps)


def test_a_step_is_written_as_it_was(releases):
    """To the byte: an earlier reader may come after us."""
    keys = [key for key in releases.store.keys("releases/") if "/00" in key]
    assert len(keys) == 45
    for key in keys:
        body = releases.store.get(key)
        assert type(releases.log.last(OPEN)).read(body, key).dump() == body


def again(releases):
    """Return how a stored evaluation is computed once more."""

    def computed(values, policy):
        found = Evaluation.from_json(values)
        return evaluation.replay(found, releases.store.get(str(found.trials_key)), policy)

    return computed


@pytest.mark.parametrize("release", DECISIONS)
def test_each_decision_comes_out_again(releases, release):
    found = state_machine.replay(releases.log.steps(release), again(releases))
    taken = [(each.decided.name, each.decided.percent, each.verdict) for each in found]
    assert taken == DECISIONS[release]
    assert all(each.ok for each in found)


def test_an_evaluation_is_computed_again_to_the_last_number(releases):
    stored = [
        step.facts["evaluation"]
        for release in STATES
        for step in releases.log.steps(release)
        if "evaluation" in step.facts
    ]
    assert len(stored) == 12
    policies = {release: releases.state_of(release).policy for release in STATES}
    for values in stored:
        found = again(releases)(values, policies[values["release_id"]])
        assert json.loads(json.dumps(found.to_json())) == values


def test_its_page_is_made_again(releases):
    release_report.publish_page(releases.log, OPEN)
    page = releases.store.get(f"releases/{OPEN}/page.html").decode()
    assert "exposed at 10%, paused" in page
    assert "10% → 40% → 100%" in page


def test_a_paused_release_is_held_until_it_is_resumed(releases, rollout):
    releases.clock.advance(3600)
    held = act({"action": "advance", "release_id": OPEN}, rollout)
    assert (held["state"], held["next"]) == ("exposed", "look")
    assert releases.log.last(OPEN).reason == "paused by hand"


def test_an_open_release_goes_on_after_resume_until_everybody_has_it(releases, rollout):
    """The state machine that drove it was started by earlier code: its events are those of then."""
    fine = releases.log.last(OPEN).facts["evaluation"]
    ByHand(releases).resume(OPEN, "the outage is over")
    shares = []
    for _ in range(3):
        releases.clock.advance(601)
        event = {"action": "advance", "release_id": OPEN, "evaluation": fine}
        said = act(event, rollout)
        shares.append((said["state"], said["next"], releases.function.alias().split))
    assert shares == [
        ("exposed", "look", TrafficSplit("2", "5", 40.0)),
        ("exposed", "look", TrafficSplit("2", "5", 100.0)),
        ("promoted", "closed", TrafficSplit("5")),
    ]
    assert act({"action": "close", "release_id": OPEN}, rollout)["next"] == "closed"
    assert releases.alarms.armed == set()
    # Of its start people heard before.
    assert [subject for subject, _, _ in releases.topic.sent] == [
        f"movierec release {OPEN} promoted"
    ]


def test_an_evaluation_of_an_open_release_is_asked_for_as_before(releases):
    asked = state_machine.evaluation_event(releases.state_of(OPEN))
    assert asked == {
        "release_id": OPEN,
        "stable": "2",
        "canary": "5",
        "since": "2026-11-20T06:22:06+00:00",
        "weights": [["2026-11-20T06:22:06+00:00", 10.0]],
        "policy": asdict(POLICIES[OPEN]),
    }


def test_an_open_release_is_rolled_back_by_hand(releases):
    roll_back(releases, "enough of it")
    close(releases, OPEN)
    found = releases.state_of(OPEN)
    assert (found.state, found.percent, found.reason) == ("rolled back", 0.0, "enough of it")
    assert releases.function.alias().split == TrafficSplit("2")
    assert releases.log.open_releases() == ()


def test_an_open_release_is_rolled_back_by_its_alarm(releases, rollout):
    alarm, invoker = Alarm("movierec-canary-5-errors", "ALARM", "too many"), MemoryAsyncInvoker()
    deps = RollbackDependencies(releases, invoker, rollout.logger)
    assert handle_alarm(alarm, deps) == "5"
    assert releases.state_of(OPEN).state == "rolled back"
    assert [attributes["event"] for _, _, attributes in releases.topic.sent] == ["rollback"]
    for event in invoker.events:
        act(event, rollout)
    assert "rolled back" in releases.store.get(f"releases/{OPEN}/page.html").decode()


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"code": True}, "version 5 was rolled back in release"),
        ({"model_version": FIRST_MODEL}, "knows 36 users, fewer than 54"),
    ],
)
def test_a_new_release_knows_what_came_of_those_before(releases, rollout, request_, words):
    roll_back(releases, "enough of it")
    releases.clock.advance(60)
    started = releases.clock.now().isoformat()
    said = act({"action": "begin", "started_at": started, "request": request_}, rollout)
    for action in ("check", "cut"):
        said = act({"action": action, "release_id": said["release_id"]}, rollout)
    assert said["state"] == "aborted"
    assert words in said["reason"]


def test_a_new_release_waits_for_the_open_one(releases, rollout):
    releases.clock.advance(60)
    started = releases.clock.now().isoformat()
    assert act({"action": "begin", "started_at": started}, rollout)["next"] == "wait"
