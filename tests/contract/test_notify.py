"""functions/notify against a webhook: what arrives, what is tried again, what is written down."""

import functools
import json
import logging
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aws_lambda_powertools import Logger

from functions.notify import handler as notify
from functions.notify.handler import ATTEMPTS, Dependencies
from movierec.errors import UnavailableError
from movierec.releases.log import Step, stamp
from movierec.releases.notifications import notifications_of, record_key
from movierec.releases.traffic_split import TrafficSplit
from movierec.testing.memory import FakeClock, MemoryStore
from tests.contract.webhook_catcher import catching

GOLDEN = Path(__file__).parents[1] / "golden" / "sns_release_notice.json"

RELEASE, LINK = "20261120T101500000Z", "https://s3/releases/page.html"
KEY = record_key(RELEASE, "rollback", "slack")
WORSE = Step(
    RELEASE,
    "movierec-api",
    "m2",
    TrafficSplit("1", "2", 25.0),
    "rollback",
    "2",
    TrafficSplit("1"),
    "its lists are watched less than the stable version's",
    at=stamp(datetime(2026, 11, 20, 10, 16, tzinfo=UTC)),
    facts={
        "evaluation": {
            "trials": {"stable": 900, "canary": 300},
            "hits": {"stable": 90, "canary": 9},
            "difference": -0.07,
            "lower": -0.11,
            "upper": -0.03,
        }
    },
)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """Whatever proxy a machine has does not stand between a test and its own port."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def store():
    return MemoryStore()


def deps(store, url, timeout_s=10.0):
    """Return the function's own client, which gives up sooner and does not wait in between."""
    post = functools.partial(notify.post, timeout_s=timeout_s)
    logger = Logger(service="test", level=logging.CRITICAL)
    return Dependencies(store, url, post, lambda _: None, FakeClock(), logger)


def the_event():
    """Return what SNS hands to the function when a canary was worse."""
    (notice,) = notifications_of([WORSE], LINK)
    event = json.loads(GOLDEN.read_text(encoding="utf-8"))
    said = event["Records"][0]["Sns"]
    said["Subject"], said["Message"] = notice.subject, notice.text
    for name, value in notice.attributes.items():
        said["MessageAttributes"][name]["Value"] = value
    return event


def deliver(found):
    (message,) = notify.messages(the_event())
    return notify.send(message, found)


def record(store):
    found = json.loads(store.get(KEY))
    return found["delivered"], found["errors"]


def test_the_channel_reads_reason_numbers_and_link(store):
    with catching() as hook:
        assert deliver(deps(store, hook.url))

    assert hook.calls == ["application/json"]
    (said,) = hook.taken
    assert said == {
        "text": f"movierec release {RELEASE} rolled back: "
        "its lists are watched less than the stable version's\n"
        "model m2, version 2\n"
        "stable 90 of 900 lists watched, canary 9 of 300 lists watched, "
        "difference -0.0700 in [-0.1100, -0.0300], no verdict\n"
        f"{LINK}"
    }
    assert record(store) == (True, [])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (500, "HTTP Error 500"),
        (429, "HTTP Error 429"),
        ("hang-up", "Remote end closed connection"),
        ("noise", "BadStatusLine"),
        ("silence", "timed out"),
    ],
)
def test_a_webhook_that_fails_once_is_asked_again_and_that_is_written_down(store, answer, words):
    with catching([answer]) as hook:
        # Enough for a slow machine's answer, little to wait for one that does not come.
        assert deliver(deps(store, hook.url, timeout_s=2.0))

    assert (len(hook.calls), len(hook.taken)) == (2, 1)
    delivered, (error,) = record(store)
    assert delivered
    assert words in error
    assert "secret" not in error


def test_one_that_goes_on_failing_is_left_to_lambda_which_calls_again(store):
    with catching([503] * ATTEMPTS) as hook:
        with pytest.raises(UnavailableError, match=r"did not take rollback of .* Error 503"):
            deliver(deps(store, hook.url))
        assert (len(hook.calls), hook.taken) == (ATTEMPTS, [])
        assert record(store) == (
            False,
            ["the webhook answered HTTP Error 503: Service Unavailable"] * ATTEMPTS,
        )

        assert deliver(deps(store, hook.url))
        assert len(hook.taken) == 1
    assert record(store) == (True, [])


def test_a_port_where_nobody_listens_is_tried_as_often_and_written_down(store):
    with socket.create_server(("127.0.0.1", 0)) as freed:
        port = freed.getsockname()[1]

    with pytest.raises(UnavailableError, match="refused"):
        deliver(deps(store, f"http://127.0.0.1:{port}/services/secret"))

    delivered, errors = record(store)
    assert (delivered, len(errors)) == (False, ATTEMPTS)
    assert not any("secret" in error for error in errors)


def test_an_event_that_comes_twice_is_told_once(store):
    with catching() as hook:
        assert [deliver(deps(store, hook.url)) for _ in range(2)] == [True, False]

    assert len(hook.taken) == 1


def test_a_webhook_that_is_no_address_is_not_repeated_in_the_error(store):
    with pytest.raises(UnavailableError, match="InvalidURL") as caught:
        deliver(deps(store, "http://127.0.0.1/services/secret token"))

    assert "secret" not in str(caught.value)
