"""What SNS hands to a function, as recorded: the functions find in it what they need."""

import json
from pathlib import Path

from functions.notify import handler as notify
from functions.rollback import handler as rollback

GOLDEN = Path(__file__).parents[1] / "golden"


def recorded(name):
    return json.loads((GOLDEN / name).read_text(encoding="utf-8"))


def test_the_notice_is_found_in_what_sns_sends():
    (found,) = notify.messages(recorded("sns_release_notice.json"))

    assert (found.release_id, found.event) == ("20261120T101500000Z", "rollback")
    assert found.text.endswith("https://s3/page.html")


def test_the_alarm_is_found_in_what_sns_sends():
    (found,) = rollback.alarms(recorded("sns_canary_alarm.json"))

    assert (found.name, found.state) == ("movierec-canary-2-errors", "ALARM")
    assert found.reason.startswith("Threshold Crossed: 1 datapoint [3.0]")
