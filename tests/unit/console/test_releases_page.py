"""Releases: what is shown, and what the buttons do."""

import re

import pytest

from movierec.releases.by_hand import ByHand
from movierec.releases.traffic_split import TrafficSplit
from tests.unit.console import recorded
from tests.unit.console.recorded import CANARY

RELEASE = "20261120T102530000Z"
PROMOTED = "20261119T160030000Z"


def fields(page: str, action: str) -> dict[str, str]:
    """Return the hidden fields of an action's form."""
    form = re.search(rf'action="/actions/releases/{action}".*?</form>', page, re.DOTALL)
    assert form, f"no form to {action}"
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[0]))


@pytest.fixture
def operator(browse, busy):
    return browse(busy, operate=True)


def form_of(operator, action):
    return fields(operator.get("/releases").text, action)


def test_the_present_split_and_release_are_shown(browse, busy):
    found = browse(busy).get("/releases").panel("present")

    assert "Stable version 7 75% Canary version 8 25% Release exposed at 25%" in found


def test_the_verdict_has_numbers_and_bounds(browse, busy):
    page = browse(busy).get("/releases")

    assert "No verdict yet" in page.panel("bounds")
    assert "canary 447 of 3,760 lists watched" in page.panel("bounds")
    assert "worse, once all is below" in page.text
    assert "fine, once all is above" in page.text


def test_holds_in_a_row_are_one_line_of_the_timeline(browse, busy):
    found = browse(busy).get("/releases").panel("timeline")

    assert "hold \N{MULTIPLICATION SIGN} 46" in found
    assert "weigh version 8 gets 25% of requests not worse by more than 0.01" in found


def test_metrics_of_both_versions_are_beside_each_other(browse, busy):
    found = browse(busy).get("/releases").panel("quality")

    assert "Metric version 7 version 8 (new)" in found
    assert "Requests 30,080 3,760" in found


def test_another_release_can_be_looked_at(browse, busy):
    page = browse(busy).get(f"/releases?release={PROMOTED}")

    assert f"{PROMOTED} promoted" in page.panel("timeline")
    assert f"https://s3/releases/{PROMOTED}/page.html" in page.text
    assert "There is no evaluation yet" in page.panel("bounds")
    assert "rolled back 6" in page.panel("list")


def test_a_release_that_is_none_is_said_to_be_none(browse, busy):
    found = browse(busy).get("/releases?release=nothing").panel("timeline")

    assert "Cannot be read" in found
    assert "there is no release 'nothing'" in found


def test_the_rules_of_the_release_are_shown(browse, busy):
    found = browse(busy).get("/releases").panel("policy")

    assert "steps 5% → 25% → 50% → 100%" in found
    assert "dwell s 600" in found


def test_before_the_first_release_it_says_what_to_do(browse):
    page = browse(recorded.empty()).get("/releases")

    assert "movierec retrain && movierec release cut" in page.panel("present")
    for panel in ("timeline", "list"):
        assert "movierec release start" in page.panel(panel)


# Actions ------------------------------------------------------------------------------------


def test_a_read_only_console_has_no_buttons_and_takes_no_form(browse, busy):
    browser = browse(busy)
    page = browser.get("/releases")
    assert "<form" not in page.text
    assert "movierec console --operate" in page.panel("present")

    csrf = browse(busy, operate=True)
    given = form_of(csrf, "promote")
    browser.cookies.update(csrf.cookies)
    found = browser.post("/actions/releases/promote", given)

    assert found.status == 403
    assert "start it with --operate" in found.words
    assert busy.releases.split() == CANARY


@pytest.mark.parametrize("action", ["promote", "rollback", "pause"])
@pytest.mark.parametrize("csrf", ["", "0" * 64])
def test_a_form_without_this_sessions_token_is_refused(operator, busy, action, csrf):
    given = {**form_of(operator, action), "csrf": csrf}

    assert operator.post(f"/actions/releases/{action}", given).status == 403
    assert busy.releases.split() == CANARY
    assert not busy.releases.state_of(RELEASE).paused


def test_a_form_of_another_session_is_refused(operator, browse, busy):
    given = form_of(browse(busy, operate=True), "promote")

    assert operator.post("/actions/releases/promote", given).status == 403
    assert busy.releases.split() == CANARY


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"sec_fetch_site": "cross-site"}]
)
def test_a_form_of_another_site_is_refused(operator, busy, headers):
    found = operator.post("/actions/releases/promote", form_of(operator, "promote"), **headers)

    assert found.status == 403
    assert busy.releases.split() == CANARY


def test_a_form_that_is_too_large_is_refused(operator):
    given = {**form_of(operator, "promote"), "reason": "x" * 20_000}

    assert operator.post("/actions/releases/promote", given).status == 413


def test_forms_are_posted(operator):
    assert operator.get("/actions/releases/promote").status == 405
    assert operator.post("/actions/releases/nothing", {}).status == 404


def test_promote_gives_the_canary_all_requests(operator, busy):
    given = {**form_of(operator, "promote"), "reason": "looks good"}

    found = operator.post("/actions/releases/promote", given)

    assert found.status == 303
    assert busy.releases.split() == TrafficSplit("8")
    assert busy.log.last(RELEASE).reason == "by the console: looks good"
    after = operator.get(found.header("location"))
    assert "Promoted: version 8 gets all requests." in after.words
    assert f"releases/{RELEASE}/page.html" in busy.store.objects
    assert busy.topic.sent


def test_rollback_gives_the_stable_version_all_requests(operator, busy):
    found = operator.post("/actions/releases/rollback", form_of(operator, "rollback"))

    assert found.status == 303
    assert busy.releases.split() == TrafficSplit("7")
    assert (
        "Rolled back: version 7 gets all requests." in operator.get(found.header("location")).words
    )


def test_pause_and_resume(operator, busy):
    assert operator.post("/actions/releases/pause", form_of(operator, "pause")).status == 303
    assert busy.releases.state_of(RELEASE).paused
    assert "exposed at 25%, paused" in operator.get("/releases").panel("present")

    assert operator.post("/actions/releases/resume", form_of(operator, "resume")).status == 303
    assert not busy.releases.state_of(RELEASE).paused
    assert busy.restarted == [RELEASE]


def advance(busy):
    """Have the state machine go on to 50%, as after a verdict."""
    ByHand(busy.releases).set_weights(50, "not worse")


@pytest.mark.parametrize("action", ["promote", "pause"])
def test_an_action_that_races_the_state_machine_gets_409_with_the_present_state(
    operator, busy, action
):
    given = form_of(operator, action)
    advance(busy)

    found = operator.post(f"/actions/releases/{action}", given)

    assert found.status == 409
    assert "Not done:" in found.words
    assert "Canary version 8 50%" in found.panel("present")
    assert busy.releases.split() == TrafficSplit("7", "8", 50.0)
    assert not busy.releases.state_of(RELEASE).paused
    # The form below it is of the state that it shows.
    assert operator.post(f"/actions/releases/{action}", form_of(operator, action)).status == 303


def test_a_step_forward_does_not_stop_a_rollback(operator, busy):
    given = form_of(operator, "rollback")
    advance(busy)

    assert operator.post("/actions/releases/rollback", given).status == 303
    assert busy.releases.split() == TrafficSplit("7")


@pytest.mark.parametrize("action", ["promote", "rollback", "pause"])
def test_what_has_ended_meanwhile_cannot_be_changed(operator, busy, action):
    given = form_of(operator, action)
    ByHand(busy.releases).promote("somebody else")

    found = operator.post(f"/actions/releases/{action}", given)

    assert found.status == 409
    assert "Stable version 8 100%" in found.panel("present")
    assert busy.releases.split() == TrafficSplit("8")


def test_a_form_that_lacks_a_field_is_refused(operator, busy):
    given = form_of(operator, "promote")
    del given["revision"]

    assert operator.post("/actions/releases/promote", given).status == 409
    assert busy.releases.split() == CANARY


def test_a_system_that_does_not_answer_leaves_it_open_whether_it_was_done(operator, busy):
    given = form_of(operator, "promote")
    busy.function.lose_answers = 1

    found = operator.post("/actions/releases/promote", given)

    assert found.status == 503
    assert "Not known whether it was done" in found.words


def test_a_rollback_that_cannot_be_logged_is_done_all_the_same(operator, busy):
    given = form_of(operator, "rollback")
    busy.store.fail_puts = 1

    found = operator.post("/actions/releases/rollback", given)

    assert found.status == 303
    assert busy.releases.split() == TrafficSplit("7")
    assert "It could not be logged" in operator.get(found.header("location")).words


def test_what_is_said_after_an_action_is_said_by_the_console_alone(operator):
    found = operator.get("/releases?done=All+is+lost&by=0000")

    assert "All is lost" not in found.words
