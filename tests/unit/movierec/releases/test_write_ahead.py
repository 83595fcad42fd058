"""Steps that a crash, or another hand on the alias, comes between."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from movierec.errors import ReleaseConflictError, UnavailableError
from movierec.releases.by_hand import ByHand
from movierec.releases.orchestrator import Orchestrator
from movierec.releases.rollback import close, roll_back
from movierec.releases.traffic_split import Alias, TrafficSplit
from tests.unit.movierec.releases.release_lab import STABLE, Lab, canary

Crash = Callable[[Lab], None]


def before_the_call(lab: Lab) -> None:
    lab.function.fail_updates = 1


def after_the_call(lab: Lab) -> None:
    lab.function.lose_answers = 1


@pytest.mark.parametrize("crash", [before_the_call, after_the_call])
def test_a_crash_on_the_way_to_more_users_is_repaired_at_the_next_look(
    lab: Lab, crash: Crash
) -> None:
    release = lab.exposed()
    crash(lab)
    with pytest.raises(UnavailableError):
        lab.tick(release, "fine")

    assert lab.tick(release, "unclear", seconds=1).percent == 25
    assert lab.releases.split() == canary(25)
    assert lab.steps(release).count("weigh") == 2


@pytest.mark.parametrize("crash", [before_the_call, after_the_call])
def test_a_crash_at_the_end_is_repaired_when_the_release_is_closed(lab: Lab, crash: Crash) -> None:
    release = lab.exposed()
    ByHand(lab.releases).set_weights(100)
    crash(lab)
    with pytest.raises(UnavailableError):
        lab.tick(release)

    close(lab.releases, release)
    assert lab.releases.split() == TrafficSplit("2")


@pytest.mark.parametrize("crash", [before_the_call, after_the_call])
def test_a_crash_at_the_very_first_release_is_repaired(crash: Crash) -> None:
    lab = Lab()
    release = lab.tested()
    crash(lab)
    with pytest.raises(UnavailableError):
        Orchestrator(lab.releases).advance(release)

    assert Orchestrator(lab.releases).advance(release).state == "promoted"
    assert lab.releases.split() == STABLE


def test_a_step_that_cannot_be_written_down_is_not_taken(lab: Lab) -> None:
    release = lab.exposed()
    lab.clock.advance(61)
    found = lab.evaluation(release, "fine")
    lab.store.fail_puts = 1

    with pytest.raises(UnavailableError):
        Orchestrator(lab.releases).advance(release, found)
    assert lab.releases.split() == canary(5)
    assert Orchestrator(lab.releases).advance(release, found).percent == 25


def test_a_step_that_was_decided_before_a_rollback_is_refused_after_it(lab: Lab) -> None:
    release = lab.exposed()
    point = lab.function.update_alias

    class Overtaken:
        def update_alias(self, *args: Any, **kwargs: Any) -> None:
            roll_back(lab.releases, "alarm", of="2")
            point(*args, **kwargs)

        def __getattr__(self, name: str) -> Any:
            return getattr(lab.function, name)

    slow = replace(lab.releases, function=Overtaken())
    lab.clock.advance(61)

    with pytest.raises(ReleaseConflictError):
        Orchestrator(slow).advance(release, lab.evaluation(release, "fine"))
    assert Orchestrator(lab.releases).advance(release).state == "rolled back"
    assert lab.releases.split() == STABLE


def test_a_rollback_that_failed_while_a_promotion_got_through_is_made_good(lab: Lab) -> None:
    release = lab.exposed()
    point = lab.function.update_alias

    class Overtaken:
        def update_alias(self, *args: Any, **kwargs: Any) -> None:
            lab.function.fail_updates = 1
            with pytest.raises(UnavailableError):
                roll_back(lab.releases, "alarm", of="2")
            point(*args, **kwargs)

        def __getattr__(self, name: str) -> Any:
            return getattr(lab.function, name)

    ByHand(replace(lab.releases, function=Overtaken())).promote()
    assert lab.releases.split() == TrafficSplit("2")

    close(lab.releases, release)
    assert lab.releases.split() == STABLE


def test_who_goes_back_and_forth_stays_where_they_went_last(lab: Lab) -> None:
    release = lab.exposed()
    roll_back(lab.releases)
    roll_back(lab.releases, "it was not the canary after all", to="2")

    close(lab.releases, release)

    assert lab.releases.split() == TrafficSplit("2")
    assert lab.releases.state_of(release).version == "2"


@pytest.mark.parametrize(
    ("moved", "state"),
    [(TrafficSplit("1"), "rolled back"), (TrafficSplit("2"), "promoted"), (canary(33), "exposed")],
)
def test_what_others_did_to_the_alias_is_written_down_as_it_is(
    lab: Lab, moved: TrafficSplit, state: str
) -> None:
    release = lab.exposed()
    lab.function._alias = Alias(moved, None, "99")

    found = lab.tick(release, "unclear", seconds=1)

    assert (found.state, lab.releases.split()) == (state, moved)
    assert (
        "moved by others"
        in [step.reason for step in lab.log.steps(release)][-1 - (state == "exposed")]
    )
    assert found.percent == moved.canary_percent
