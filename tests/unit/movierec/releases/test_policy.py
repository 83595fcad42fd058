"""The policy of a release: its defaults make sense, and so must what overrides them."""

import json

import pytest

from movierec import settings
from movierec.errors import ConfigError, UsageError
from movierec.releases.policy import Policy


def test_an_override_changes_what_it_names_and_nothing_else():
    text = json.dumps({"margin": 0.02, "steps": [10, 100], "look_s": 5, "on_busy": "replace"})
    expected = Policy(margin=0.02, steps=(10.0, 100.0), look_s=5.0, on_busy="replace")
    assert Policy.from_json(text) == expected
    assert Policy.from_env({}) == Policy()


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ({"patience": 3}, "patience"),
        ({"steps": []}, "steps"),
        ({"steps": [5, 25]}, "steps"),
        ({"steps": [25, 5, 100]}, "steps"),
        ({"steps": [0, 100]}, "steps"),
        ({"steps": [50, 50, 100]}, "steps"),
        ({"steps": 100}, "steps"),
        ({"steps": ["5", "100"]}, "steps"),
        ({"alpha": 0.5}, "alpha"),
        ({"alpha": 0}, "alpha"),
        ({"alpha": True}, "alpha"),
        ({"alpha": "0.05"}, "alpha"),
        ({"margin": 1.5}, "margin"),
        ({"margin": float("nan")}, "margin"),
        ({"min_trials": 0}, "min_trials"),
        ({"min_trials": 2.5}, "min_trials"),
        ({"sharpest_at_trials": -1}, "sharpest_at_trials"),
        ({"look_s": 0}, "look_s"),
        ({"dwell_s": float("inf")}, "dwell_s"),
        ({"dwell_s": 10**400}, "RELEASE_POLICY"),
        ({"settle_s": -1}, "settle_s"),
        ({"step_limit_s": 3_600}, "step_limit_s"),
        ({"step_limit_s": 400, "dwell_s": 60}, "step_limit_s"),
        ({"horizon_s": 30_000}, "step_limit_s"),
        ({"on_busy": "panic"}, "on_busy"),
        ({"on_busy": ["wait"]}, "on_busy"),
        ({"on_busy": None}, "on_busy"),
    ],
)
def test_nonsense_is_refused_by_name(override, named):
    with pytest.raises(ConfigError, match=named) as refused:
        Policy.from_json(json.dumps(override))
    assert settings.RELEASE_POLICY in str(refused.value)


@pytest.mark.parametrize("text", ["", "steps=5", "[1]", "null", '"x"', "{", "[" * 100_000])
def test_what_is_no_json_object_is_refused(text):
    with pytest.raises(ConfigError, match=settings.RELEASE_POLICY) as refused:
        Policy.from_json(text)
    assert len(str(refused.value)) < 400


def test_code_that_asks_for_nonsense_is_told_so():
    with pytest.raises(UsageError, match="margin"):
        Policy(margin=0.0)
