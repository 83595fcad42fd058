"""Releases as the command line shows them, and followed until they end."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from movierec.cli import release_execution, release_format
from movierec.errors import ReleaseError
from movierec.releases import evaluation as evaluations
from movierec.releases.by_hand import ByHand
from movierec.releases.log import Step
from movierec.releases.orchestrator import Orchestrator
from movierec.releases.state_machine import NextAction, Replayed
from movierec.releases.traffic_split import TrafficSplit
from tests.unit.movierec.releases.release_lab import M1, M2, Lab

EVALUATION: dict[str, Any] = {
    "trials": {"stable": 9_500, "canary": 500},
    "hits": {"stable": 950, "canary": 40},
    "difference": -0.02,
    "lower": -0.05,
    "upper": 0.01,
    "verdict": "unclear",
}


def test_a_release_is_told_on_one_line():
    lab = Lab()
    lab.serve(M1)
    release = lab.exposed()
    ByHand(lab.releases).pause(release)
    line = release_format.headline(release_format.summary(lab.releases.state_of(release)))
    assert line == (f"{release}  exposed at 5%, paused, {M2}, version 2: passed its smoke test")


def test_a_release_that_has_only_begun_is_told_too():
    lab = Lab()
    release = lab.begin()
    line = release_format.headline(release_format.summary(lab.releases.state_of(release)))
    assert line == f"{release}  start, no model yet, no version yet"


def test_a_step_is_told_with_time_users_and_reason():
    at = datetime(2026, 11, 20, 10, 15, tzinfo=UTC).isoformat()
    step = Step("r", "f", "m", None, "weigh", "2", TrafficSplit("1", "2", 5), "passed", at)
    assert (
        release_format.timeline(step)
        == "2026-11-20 10:15:00  weigh     version 2 gets 5% of requests  passed"
    )
    assert release_format.timeline(replace(step, name="pause", after=None, reason="")) == (
        "2026-11-20 10:15:00  pause"
    )


@pytest.mark.parametrize(
    ("evaluation", "said"),
    [
        (None, "nothing counted yet"),
        ({}, "nothing counted yet"),
        (
            EVALUATION,
            "stable 950 of 9,500 lists watched, canary 40 of 500 lists watched, "
            "difference -0.0200 in [-0.0500, +0.0100], unclear",
        ),
        (
            {**EVALUATION, "difference": None},
            "stable 950 of 9,500 lists watched, canary 40 of 500 lists watched, unclear",
        ),
    ],
)
def test_what_was_counted_is_told_on_one_line(evaluation, said):
    assert evaluations.sentence(evaluation) == said


def test_a_decision_that_comes_out_differently_says_how():
    held, weighed = NextAction("hold", 5.0, ""), NextAction("weigh", 25.0, "")
    same = Replayed("10:15", "unclear", held, "unclear", held)
    other = Replayed("10:15", "unclear", held, "fine", weighed)
    lost = Replayed("10:15", "unclear", held, "", None, "it was changed")
    assert [release_format.replayed(each) for each in (same, other, lost)] == [
        "10:15  hold at 5% (unclear)  ok",
        "10:15  hold at 5% (unclear)  differs: now weigh at 25% (fine)",
        "10:15  hold at 5% (unclear)  differs: it was changed",
    ]
    assert release_format.replayed_json(same)["ok"] is True


class Ticker:
    """A terminal that keeps what it was shown."""

    def __init__(self):
        self.lines, self.status = [], ""

    def add_line(self, text):
        self.lines.append(text)

    def update(self, text):
        self.status = text


def test_a_release_is_followed_to_its_end():
    lab, ticker, asked = Lab(), Ticker(), []
    lab.serve(M1)
    release = lab.exposed()

    def sleep(_seconds):
        asked.append(ticker.status)
        lab.tick(release, "worse" if len(asked) > 1 else "unclear", seconds=1)

    found = release_execution.follow(
        lab.releases, release, running=lambda: True, ticker=ticker, sleep=sleep
    )

    assert found.state == "rolled back"
    names = [line.split()[2] for line in ticker.lines]
    assert names == ["start", "gate", "cut", "smoke", "weigh", "rollback"]
    assert "nothing counted yet" in asked[0]
    assert "lists watched" in asked[1]


def test_a_release_that_nobody_drives_is_not_followed_for_ever():
    lab, running = Lab(), iter([True, False])
    release = lab.begin()

    with pytest.raises(ReleaseError, match=f"`movierec release resume {release}`"):
        release_execution.follow(
            lab.releases,
            release,
            running=lambda: next(running),
            ticker=Ticker(),
            sleep=lambda _seconds: None,
        )


def test_a_release_is_waited_for_before_its_first_step_is_written():
    lab, ticker = Lab(), Ticker()
    names = []

    def sleep(_seconds):
        names.append(lab.begin())
        Orchestrator(lab.releases).end(names[0], "changed our mind")

    release = "20261120T101501000Z"
    found = release_execution.follow(
        lab.releases, release, running=lambda: True, ticker=ticker, sleep=sleep
    )
    assert (found.state, names) == ("aborted", [release])
