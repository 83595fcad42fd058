"""Lambda `movierec-notify`: forward release notifications from SNS to a Slack channel.

Mail addresses subscribe to the topic itself. A message that Slack refuses is retried, three times
here and twice by Lambda; each outcome is written to the release's folder. SNS invokes it
asynchronously: no release waits for it.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from aws_lambda_powertools import Logger

from movierec import settings
from movierec.aws.lambda_handler import Context, lambda_handler
from movierec.aws.s3_store import S3Store
from movierec.errors import ConfigError, UnavailableError, UsageError
from movierec.model import encoding
from movierec.ports import Clock, ObjectStore
from movierec.releases.notifications import record_key
from movierec.runtime.clock import SystemClock

SERVICE: Final = "movierec-notify"

ATTEMPTS: Final = 3
_FIRST_RETRY_S: Final = 0.5
_TIMEOUT_S: Final = 5.0

Post = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The function's dependencies. Without a webhook nothing is sent."""

    store: ObjectStore
    webhook: str
    post: Post
    sleep: Callable[[float], None]
    clock: Clock
    logger: Logger

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Return the dependencies on AWS. Raises ConfigError."""
        webhook = env.get(settings.SLACK_WEBHOOK, "")
        if webhook and not webhook.startswith(("https://", "http://")):
            raise ConfigError(f"{settings.SLACK_WEBHOOK} is no URL: copy it from Slack's app page")
        store = S3Store.from_env(env, settings.ARTIFACTS_BUCKET)
        return cls(store, webhook, post, time.sleep, SystemClock(), Logger(service=SERVICE))


@dataclass(frozen=True, slots=True)
class Message:
    """A notification as received from the topic."""

    release_id: str
    event: str
    text: str


def send(message: Message, deps: Dependencies) -> bool:
    """Send a message unless it is recorded as delivered; return whether it was sent.

    Raises UnavailableError.
    """
    key = record_key(message.release_id, message.event, "slack")
    if not deps.webhook or _delivered(deps.store, key):
        return False
    errors: list[str] = []
    for attempt in range(ATTEMPTS):
        if errors:
            deps.sleep(_FIRST_RETRY_S * 2**attempt)
        try:
            deps.post(deps.webhook, json.dumps({"text": message.text}).encode())
        except UnavailableError as exc:
            errors.append(str(exc))
        else:
            _record(deps, key, delivered=True, errors=errors)
            return True
    _record(deps, key, delivered=False, errors=errors)
    raise UnavailableError(
        f"Slack did not take {message.event} of {message.release_id}: {errors[-1]}"
    )


def post(url: str, body: bytes, *, timeout_s: float = _TIMEOUT_S) -> None:
    """Send JSON to a webhook. Raises UnavailableError unless it is accepted."""
    request = urllib.request.Request(  # noqa: S310  checked by Dependencies
        url, body, {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
            answer.read()
    except (urllib.error.URLError, TimeoutError, ConnectionError) as exc:
        # Without the URL: it is a secret that lets anyone write to the channel.
        raise UnavailableError(f"the webhook answered {exc}") from exc
    except http.client.HTTPException as exc:
        # Nor the exception, whose message may contain the URL.
        raise UnavailableError(f"the webhook answered no HTTP: {type(exc).__name__}") from None


def messages(event: Mapping[str, Any]) -> Iterator[Message]:
    """Yield the notifications in an SNS event. Raises UsageError."""
    try:
        for record in event["Records"]:
            sns = record["Sns"]
            values = {name: sns["MessageAttributes"][name]["Value"] for name in _ATTRIBUTES}
            yield Message(**values, text=sns["Message"])
    except (KeyError, TypeError) as exc:
        raise UsageError(f"no notice from SNS ({exc!r}): {str(event)[:200]}") from exc


_ATTRIBUTES: Final = ("release_id", "event")


def _delivered(store: ObjectStore, key: str) -> bool:
    found = [encoding.load_json(each, store.get(each)) for each in store.keys(key)]
    return any(record["delivered"] for record in found)


def _record(deps: Dependencies, key: str, *, delivered: bool, errors: list[str]) -> None:
    at = deps.clock.now().isoformat(timespec="seconds")
    facts = {"delivered": delivered, "at": at, "errors": errors}
    deps.store.put(key, encoding.dump_json(facts))
    deps.logger.info("notice_recorded", extra={"key": key, **facts})


def _respond(event: Mapping[str, Any], found: Dependencies, _context: Context) -> dict[str, Any]:
    return {"sent": [message.event for message in messages(event) if send(message, found)]}


handler = lambda_handler(Dependencies.from_env, _respond)
