import pytest

from movierec.aws.step_functions import Progressed
from movierec.cli.retrain import await_none_missing, event_of, pairs, show
from movierec.errors import TrainingError, UnavailableError, UsageError
from movierec.stack.progress import Progress


class Steps:
    """A display that keeps the names of the steps and how they ended."""

    def __init__(self):
        self.ended = []
        self.updates = []

    def begin(self, name):
        return _Step(name, self.updates)

    def end(self, step, seconds, error):
        self.ended.append((step.name, error is None))


class _Step:
    def __init__(self, name, updates):
        self.name = name
        self.updates = updates

    def update(self, done=None, total=None, note=None):
        self.updates.append((done, total, note))


def entered(state):
    return Progressed(state, entered=True)


def left(state, failed=False):
    return Progressed(state, entered=False, failed=failed)


def test_each_state_is_a_step_and_the_output_is_returned():
    steps = Steps()
    followed = [entered("Build"), left("Build"), entered("Train"), left("Train"), {"model": "m"}]
    assert show(Progress(steps), followed) == {"model": "m"}
    assert steps.ended == [("Build", True), ("Train", True)]


def test_a_state_that_failed_is_a_step_that_failed_and_so_is_what_was_under_way():
    steps = Steps()

    def followed():
        yield entered("Train")
        yield left("Train", failed=True)
        yield entered("Fail")
        raise TrainingError("no events yet")

    with pytest.raises(TrainingError, match="no events yet"):
        show(Progress(steps), followed())
    assert steps.ended == [("Train", False), ("Fail", False)]


def test_parameters_are_numbers_where_they_can_be():
    assert pairs(["factors=64", "alpha=0.5", "since=2026-01-01", "x=a=b"]) == {
        "factors": 64,
        "alpha": 0.5,
        "since": "2026-01-01",
        "x": "a=b",
    }


@pytest.mark.parametrize("text", ["", "factors", "=3"])
def test_a_parameter_without_a_name_or_value_is_refused(text):
    with pytest.raises(UsageError, match="NAME=VALUE"):
        pairs([text])


class Time:
    """A clock that only sleep moves."""

    def __init__(self):
        self.now_s = 1000.0

    def clock_s(self):
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds


def waiting(steps, counts):
    time = Time()
    found = iter(counts)
    await_none_missing(Progress(steps), lambda: next(found), clock_s=time.clock_s, sleep=time.sleep)
    return time


def test_training_waits_until_no_line_is_missing_and_says_how_many_are():
    steps = Steps()
    waiting(steps, [1500, 1500, 900, 0])
    assert steps.updates == [(0, 1500, "1,500 lines to go"), (600, 1500, "900 lines to go")]
    assert steps.ended == [("ingest", True)]


def test_a_lake_that_fills_slowly_is_waited_for_however_long_it_takes():
    """A line every 50 s: what counts is that any arrives."""
    counts = [lines for lines in range(50, 0, -1) for _ in range(100)]
    assert waiting(Steps(), [*counts, 0]).now_s > 1000 + 40 * 50


def test_a_lake_that_nothing_reaches_any_more_ends_the_wait():
    steps = Steps()
    with pytest.raises(UnavailableError, match=r"1,500 lines.*ingest worker does not run"):
        waiting(steps, [1500] * 1000)
    assert steps.ended == [("ingest", False)]


def test_a_wanted_drift_is_said_to_who_builds_the_data_set():
    assert event_of(["min_users=3"], None, tuned=False, accept_drift=True) == {
        "dataset": {"parameters": {"min_users": 3}, "accept_drift": True},
        "model": {"parameters": {}, "tuned": False},
    }
    assert "accept_drift" not in event_of(None, None, tuned=False, accept_drift=False)["dataset"]


def test_a_cost_weight_goes_to_the_training():
    given = event_of(None, None, tuned=False, accept_drift=False, cost_weight=0.5)
    assert given["model"]["cost_weight"] == 0.5
    assert "cost_weight" not in event_of(None, None, tuned=False, accept_drift=False)["model"]
