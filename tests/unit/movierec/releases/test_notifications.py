"""What people are told of a release: once when it starts, once when it ends, and with figures."""

from typing import Any

from movierec.releases.log import Step, StepName
from movierec.releases.notifications import notifications_of, record_key

RELEASE = "20261120T101500000Z"
LINK = "https://s3/page.html"
EVALUATION: dict[str, Any] = {
    "trials": {"stable": 9_500, "canary": 500},
    "hits": {"stable": 950, "canary": 40},
    "difference": -0.02,
    "lower": -0.0312,
    "upper": -0.001,
}


def step(name: StepName, reason: str = "", **facts: Any) -> Step:
    known = name != "start"
    at = "2026-11-20T10:15:00+00:00"
    model, version = ("m2", "2") if known else (None, None)
    return Step(RELEASE, "api", model, None, name, version, None, reason, at, facts)


def test_people_hear_of_the_start_and_of_the_end_and_of_nothing_between() -> None:
    steps = [step(name) for name in ("start", "gate", "cut", "smoke", "weigh", "hold", "promote")]

    assert [notification.event for notification in notifications_of(steps, LINK)] == [
        "start",
        "promote",
    ]


def test_an_event_is_told_once_however_often_it_was_written_down() -> None:
    steps = [step("start"), step("rollback", "first"), step("rollback", "second")]

    known = notifications_of(steps, LINK)
    assert [notification.event for notification in known] == ["start", "rollback"]
    assert "first" in known[1].text


def test_a_notification_says_what_why_on_which_figures_and_a_link() -> None:
    (notification,) = notifications_of(
        [step("rollback", "fewer are watched", evaluation=EVALUATION)], LINK
    )

    assert notification.subject == f"movierec release {RELEASE} rolled back"
    assert notification.text.splitlines() == [
        f"movierec release {RELEASE} rolled back: fewer are watched",
        "model m2, version 2",
        "stable 950 of 9,500 lists watched, canary 40 of 500 lists watched, "
        "difference -0.0200 in [-0.0312, -0.0010], no verdict",
        LINK,
    ]
    assert notification.attributes == {"release_id": RELEASE, "event": "rollback", "link": LINK}


def test_what_is_not_known_yet_is_said_so() -> None:
    (notification,) = notifications_of([step("start")], LINK)

    assert "model not chosen yet, version not cut yet" in notification.text


def test_without_bounds_only_what_was_counted_is_told() -> None:
    unbounded = {**EVALUATION, "lower": None, "upper": None, "difference": None}
    (notification,) = notifications_of([step("promote", evaluation=unbounded)], LINK)

    assert "stable 950 of 9,500" in notification.text
    assert "difference" not in notification.text


def test_each_channel_has_its_own_record() -> None:
    assert record_key(RELEASE, "start", "sns") == f"releases/{RELEASE}/notices/start-sns.json"
    assert record_key(RELEASE, "start", "slack") == f"releases/{RELEASE}/notices/start-slack.json"
