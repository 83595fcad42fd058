"""The event is checked whole before anything is read."""

import pytest

from functions.evaluate_online.evaluation_event import Request
from movierec.errors import UsageError
from tests.unit.functions.evaluate_online.frames import START, at

HISTORY = [["2026-11-20T10:01:00Z", 5], ["2026-11-20T11:01:00+01:00", 25.0]]
RELEASE = {
    "release_id": "20261120T100000000Z",
    "stable": "3",
    "canary": "4",
    "since": "2026-11-20T10:00:00Z",
    "weights": HISTORY,
}


def test_the_scheduled_call_looks_at_the_last_day_or_as_long_as_it_is_told():
    for event, hours in (({}, 24), ({"window_s": 7200, "source": "aws.events"}, 2)):
        request = Request.read(event)
        assert request.release is None
        assert (START - request.since(START)).total_seconds() == hours * 3600


def test_a_release_is_read_with_its_history():
    request = Request.read(RELEASE)
    assert request.since(START.replace(year=2030)) == START
    assert request.release is not None
    assert request.release.weights.times == (at(60), at(60))
    assert request.release.experiment(30.0).weights.percents == (5.0, 25.0)


def test_a_release_without_a_weight_yet_is_one():
    assert Request.read(RELEASE | {"weights": []}).release is not None


@pytest.mark.parametrize("name", list(RELEASE))
def test_half_a_release_is_refused(name):
    with pytest.raises(UsageError, match=f"no {name}"):
        Request.read({key: value for key, value in RELEASE.items() if key != name})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"release_id": ""}, "release_id"),
        ({"release_id": "../models"}, "release_id"),
        ({"stable": 3}, "stable"),
        ({"canary": "$LATEST"}, "canary"),
        ({"canary": "3"}, "at once"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-11-20T10:00:00"}, "since"),
        ({"weights": {"5": 1}}, "weights"),
        ({"weights": [["2026-11-20T10:01:00Z"]]}, "weights"),
        ({"weights": [[60, 5]]}, "time in weights"),
        ({"weights": [["2026-11-20T10:01:00Z", 101]]}, "percent"),
        ({"weights": [["2026-11-20T10:01:00Z", True]]}, "percent"),
        ({"weights": [["2026-11-20T10:01:00Z", float("nan")]]}, "percent"),
        ({"weights": [*HISTORY, ["2026-11-20T10:00:00Z", 50]]}, "ascend"),
        ({"window_s": 0}, "window_s"),
        ({"window_s": "day"}, "window_s"),
    ],
)
def test_what_is_wrong_is_named(change, complaint):
    with pytest.raises(UsageError, match=complaint):
        Request.read(RELEASE | change)
