"""Notices from SNS to Slack: sent once, tried again, and written down either way."""

import json
import logging
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from functions.notify.handler import ATTEMPTS, Dependencies, Message, messages, send
from movierec.errors import ConfigError, UnavailableError, UsageError
from movierec.testing.memory import FakeClock, MemoryStore

RELEASE = "20261120T101500000Z"
KEY = f"releases/{RELEASE}/notices/rollback-slack.json"
MESSAGE = Message(RELEASE, "rollback", "rolled back")


class Slack:
    """Takes messages, but for the first `refusals`."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.taken: list[tuple[str, Any]] = []

    def __call__(self, url: str, body: bytes) -> None:
        if self.refusals:
            self.refusals -= 1
            raise UnavailableError("the webhook answered HTTP Error 500")
        self.taken.append((url, json.loads(body)))


class Lab:
    def __init__(self, slack: Slack, webhook: str = "https://hooks/secret") -> None:
        self.slack, self.store = slack, MemoryStore()
        self.slept_s: list[float] = []
        logger = Logger(service="test", level=logging.CRITICAL)
        self.deps = Dependencies(
            self.store, webhook, slack, self.slept_s.append, FakeClock(), logger
        )

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.store.get(KEY))
        return found


def test_a_message_is_sent_and_that_is_written_down() -> None:
    lab = Lab(Slack())

    assert send(MESSAGE, lab.deps)
    assert lab.slack.taken == [("https://hooks/secret", {"text": "rolled back"})]
    assert lab.record() == {"at": "2026-11-20T10:15:00+00:00", "delivered": True, "errors": []}


def test_a_message_that_arrived_is_not_sent_again() -> None:
    lab = Lab(Slack())
    send(MESSAGE, lab.deps)

    assert not send(MESSAGE, lab.deps)
    assert len(lab.slack.taken) == 1


def test_a_refusal_is_tried_again_and_each_wait_is_longer() -> None:
    lab = Lab(Slack(refusals=ATTEMPTS - 1))

    assert send(MESSAGE, lab.deps)
    assert lab.slept_s == sorted(lab.slept_s)
    assert len(lab.slept_s) == ATTEMPTS - 1
    assert (lab.record()["delivered"], len(lab.record()["errors"])) == (True, ATTEMPTS - 1)


def test_what_slack_does_not_take_is_an_error_so_that_lambda_calls_again() -> None:
    lab = Lab(Slack(refusals=ATTEMPTS))

    with pytest.raises(UnavailableError, match=r"did not take rollback of .* Error 500"):
        send(MESSAGE, lab.deps)
    assert lab.record()["delivered"] is False
    assert send(MESSAGE, lab.deps)
    assert lab.record()["delivered"] is True


def test_without_a_webhook_nothing_is_sent_or_written() -> None:
    lab = Lab(Slack(), webhook="")

    assert not send(MESSAGE, lab.deps)
    assert (lab.slack.taken, lab.store.objects) == ([], {})


@pytest.mark.parametrize("event", [{}, {"Records": [{}]}, {"Records": [{"Sns": {"Message": "x"}}]}])
def test_what_is_no_notice_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="no notice from SNS"):
        list(messages(event))


def test_a_webhook_that_is_no_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="MOVIEREC_SLACK_WEBHOOK is no URL") as caught:
        Dependencies.from_env({"MOVIEREC_SLACK_WEBHOOK": "file:///secret"})
    assert "secret" not in str(caught.value)
