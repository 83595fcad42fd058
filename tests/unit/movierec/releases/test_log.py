"""What is written down about releases, in order and for good."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from movierec.errors import ReleaseConflictError, ReleaseNotFoundError, UnavailableError
from movierec.releases import log as release_log
from movierec.releases.log import ReleaseLog, Step, StepName
from movierec.releases.traffic_split import TrafficSplit
from movierec.testing.memory import FakeClock, MemoryStore

RELEASE, LATER = "20261120T101500123Z", "20261120T101600000Z"
CANARY = TrafficSplit("1", "2", 20.0)


class Lab:
    """A log on a bucket in memory."""

    def __init__(self) -> None:
        self.clock, self.store = FakeClock(), MemoryStore()
        self.log = ReleaseLog(self.store, self.clock)

    def write(self, *names: StepName, release: str = RELEASE) -> None:
        for name in names:
            self.log.write(Step(release, "f", "m1", None, name))


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_release_names_sort_by_time_whatever_the_zone() -> None:
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    later = (noon + timedelta(milliseconds=1)).astimezone(timezone(timedelta(hours=-8)))

    assert release_log.release_id(noon) == "20261120T120000000Z"
    assert release_log.release_id(noon) < release_log.release_id(later)


def test_a_step_is_written_under_its_number() -> None:
    assert release_log.step_key(RELEASE, 12, "promote") == f"releases/{RELEASE}/0012-promote.json"


def test_a_step_says_what_was_and_what_will_be() -> None:
    step = Step(RELEASE, "f", "m1", CANARY, "promote", "2", TrafficSplit("2"), "good", "2026-11-20")

    written = json.loads(step.dump())
    assert written["before"] == {"stable": "1", "canary": "2", "canary_percent": 20.0}
    assert written["after"] == {"stable": "2", "canary": None, "canary_percent": 0.0}
    assert (written["name"], written["version"], written["reason"]) == ("promote", "2", "good")
    assert Step.read(step.dump(), "key") == step


def test_a_versions_description_fits_and_names_its_release() -> None:
    description = release_log.describe_version(RELEASE, "m1", "x" * 300)

    assert description.startswith(f"{RELEASE} m1 xxx")
    assert len(description) == 256


def test_steps_are_numbered_and_dated_as_they_are_written(lab: Lab) -> None:
    lab.write("start", "gate")
    lab.clock.advance(1.0005)
    lab.write("cut")

    assert [key.split("/")[-1] for key in lab.store.keys("releases/")] == [
        "0001-start.json",
        "0002-gate.json",
        "0003-cut.json",
    ]
    assert [step.at for step in lab.log.steps(RELEASE)][1:] == [
        "2026-11-20T10:15:00.000+00:00",
        "2026-11-20T10:15:01.000+00:00",
    ]


def test_a_step_that_was_decided_earlier_keeps_that_time(lab: Lab) -> None:
    decided = lab.log.now()
    lab.clock.advance(5)

    step = Step(RELEASE, "f", "m1", None, "hold", at=release_log.stamp(decided))
    assert lab.log.write(step).time == decided


def test_the_tenth_step_comes_after_the_ninth_whatever_their_names(lab: Lab) -> None:
    weighed: list[StepName] = ["weigh"] * 9
    lab.write("start", *weighed, "abort")

    assert [step.name for step in lab.log.steps(RELEASE)] == ["start", *["weigh"] * 9, "abort"]
    assert lab.log.last(RELEASE).name == "abort"


def test_ticks_that_changed_nothing_can_be_left_unread(lab: Lab) -> None:
    lab.write("start", "hold", "weigh", "hold")

    assert [step.name for step in lab.log.steps(RELEASE, holds=False)] == ["start", "weigh"]
    assert lab.log.last(RELEASE).name == "hold"


def test_what_else_is_in_a_releases_folder_is_no_step(lab: Lab) -> None:
    lab.write("start")
    for name in ("page.html", "trials/20261120.npz", "notices/start-sns.json", "0002-later.json"):
        lab.store.put(release_log.folder(RELEASE) + name, b"x")

    assert [step.name for step in lab.log.steps(RELEASE)] == ["start"]
    assert lab.log.releases() == (RELEASE,)


def test_a_release_is_open_until_its_closing_step(lab: Lab) -> None:
    lab.write("start", "weigh")
    lab.write("start", "abort", release=LATER)

    assert lab.log.open_releases() == (RELEASE,)
    assert lab.log.closing(RELEASE) is None
    lab.write("promote", "rollback")
    assert lab.log.open_releases() == ()
    closing = lab.log.closing(RELEASE)
    assert closing is not None
    assert closing.name == "rollback"


def test_a_release_that_is_not_there_is_said_to_be_missing(lab: Lab) -> None:
    with pytest.raises(ReleaseNotFoundError, match=r"no release 'x'.*release list"):
        lab.log.steps("x")
    with pytest.raises(ReleaseNotFoundError, match="no release 'x'"):
        lab.log.last("x")


class Raced(MemoryStore):
    """Another writer's step appears between the listing of keys and the put."""

    def keys(self, prefix: str) -> Iterator[str]:
        found = list(super().keys(prefix))
        self.objects.setdefault(f"{prefix}0002-weigh.json", b"theirs")
        return iter(found)


def test_of_two_who_take_the_same_step_one_is_refused(lab: Lab) -> None:
    lab.write("start")
    log = ReleaseLog(Raced(lab.store.objects), lab.clock)

    with pytest.raises(ReleaseConflictError, match="somebody else is taking step 2"):
        log.write(Step(RELEASE, "f", "m1", None, "weigh"))


def test_who_insists_takes_the_next_number(lab: Lab) -> None:
    lab.write("start")
    store = Raced(lab.store.objects)

    ReleaseLog(store, lab.clock).write(Step(RELEASE, "f", "m1", None, "weigh"), insist=True)

    assert store.objects[f"releases/{RELEASE}/0002-weigh.json"] == b"theirs"
    assert f"releases/{RELEASE}/0003-weigh.json" in store.objects


def test_a_step_that_cannot_be_stored_is_an_error(lab: Lab) -> None:
    lab.store.fail_puts = 1

    with pytest.raises(UnavailableError):
        lab.write("start")


def test_of_many_holds_an_even_sample_is_read_with_the_newest(lab: Lab) -> None:
    for _ in range(21):
        lab.write("hold")
    lab.write("promote")
    asked = len(lab.log.steps(RELEASE))

    found = lab.log.sampled(RELEASE, 10)

    assert [step.name for step in found] == ["hold"] * 6 + ["promote"]
    assert len(lab.log.sampled(RELEASE, 21)) == asked
