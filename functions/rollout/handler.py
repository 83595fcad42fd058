"""Lambda `movierec-rollout`: carries out one action of a release for its state machine.

Event:

    {"action": "begin" | "check" | "cut" | "test" | "advance" | "close" | "abort"
               | "publish_page",
     "release_id": "<id>",          "" at "begin": named after `started_at`
     "started_at": "<ISO 8601>",
     "request": {"model_version": "", "code": false, "again": false,   at "begin"
                 "allow_truncated": false},
     "policy": {"on_busy": "replace"},          at "begin": what differs from the function's own
     "evaluation": {...} | null,    at "advance": what functions/evaluate_online answered
     "reason": ""}                  at "abort"

Answer:

    {"release_id": ..., "state": ..., "reason": ..., "next": "go" | "wait" | "look" | "closed",
     "wait_s": n, "evaluate": <event of functions/evaluate_online> | null}

Every action is idempotent: the release's log says what has been done. An action that is refused
because somebody else moved the alias raises ReleaseConflictError, and is retried.

Every step publishes the release's page again. "publish_page" does only that: functions/rollback
invokes it asynchronously, so that its own package has no code for pages.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Literal, Self

from aws_lambda_powertools import Logger

from movierec.aws.lambda_handler import lambda_handler
from movierec.aws.release_factory import open_releases
from movierec.errors import ReleaseError, UnavailableError, UsageError
from movierec.releases import log, state_machine
from movierec.releases.evaluation import Evaluation
from movierec.releases.notifications import announce
from movierec.releases.orchestrator import Orchestrator
from movierec.releases.policy import Policy
from movierec.releases.registry import Releases
from movierec.releases.request import Request
from movierec.releases.rollback import close
from movierec.releases.state_machine import ReleaseState
from movierec.reports.release_report import publish_page

SERVICE: Final = "movierec-rollout"

Next = Literal["go", "wait", "look", "closed"]

Outcome = tuple[Next, ReleaseState | None]
"""The next action, and the release's state where the action knows it."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Ports and settings that the function uses."""

    releases: Releases
    policy: Policy
    logger: Logger

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Return the adapters to AWS. Raises ConfigError."""
        policy = Policy.from_env(env)
        return cls(open_releases(env), policy, Logger(service=SERVICE))


def act(event: Mapping[str, Any], deps: Dependencies) -> dict[str, Any]:
    """Carry out an action; see the module's docstring. Raises UsageError, ReleaseError."""
    action = _ACTIONS.get(str(event.get("action")))
    if action is None:
        raise UsageError(f"action is {event.get('action')!r}: expected {', '.join(_ACTIONS)}")
    release_id = _release_id(event)
    following, reached = action(release_id, event, deps)
    found = reached or deps.releases.state_of(release_id)
    deps.logger.info(
        "release_acted",
        extra={"release_id": release_id, "action": event["action"], "state": found.state},
    )
    if action is not _publish_page and deps.releases.log.last(release_id).name != "hold":
        publish_page(deps.releases.log, release_id)
    return _answer(found, following, deps)


def _answer(found: ReleaseState, following: Next, deps: Dependencies) -> dict[str, Any]:
    wait_s = state_machine.next_tick_s(found, deps.releases.clock.now())
    evaluates = following == "look" and found.version is not None and found.stable is not None
    return {
        "release_id": found.release_id,
        "state": found.state,
        "reason": found.reason,
        "next": following,
        "wait_s": wait_s,
        "evaluate": state_machine.evaluation_event(found) if evaluates else None,
    }


def _release_id(event: Mapping[str, Any]) -> str:
    given = event.get("release_id") or ""
    if given:
        return str(given)
    try:
        return log.release_id(datetime.fromisoformat(str(event.get("started_at"))))
    except ValueError as exc:
        raise UsageError(
            f"neither release_id nor started_at ({event.get('started_at')!r}) names a release"
        ) from exc


def _begin(release_id: str, event: Mapping[str, Any], deps: Dependencies) -> Outcome:
    request = Request.read(event.get("request") or {})
    policy = Policy.read(asdict(deps.policy) | (event.get("policy") or {}))
    admission = Orchestrator(deps.releases).begin(release_id, request, policy)
    try:
        announce(deps.releases, release_id)
    except (ReleaseError, UnavailableError) as exc:
        # The release's end is announced again; a release does not wait for mail.
        deps.logger.warning("notice_not_sent", extra={"error": str(exc)})
    return ("go" if admission == "now" else admission), None


def _step(step: Callable[[Orchestrator, str], ReleaseState]) -> "Action":
    def action(release_id: str, _event: Mapping[str, Any], deps: Dependencies) -> Outcome:
        found = step(Orchestrator(deps.releases), release_id)
        return ("closed" if found.closed else "go"), found

    return action


def _advance(release_id: str, event: Mapping[str, Any], deps: Dependencies) -> Outcome:
    given = event.get("evaluation")
    found = Orchestrator(deps.releases).advance(
        release_id, Evaluation.from_json(given) if given else None
    )
    return ("closed" if found.closed else "look"), found


def _close(release_id: str, _event: Mapping[str, Any], deps: Dependencies) -> Outcome:
    close(deps.releases, release_id)
    return "closed", None


def _publish_page(release_id: str, _event: Mapping[str, Any], deps: Dependencies) -> Outcome:
    publish_page(deps.releases.log, release_id)
    found = deps.releases.state_of(release_id)
    return ("closed" if found.closed else "go"), found


def _abort(release_id: str, event: Mapping[str, Any], deps: Dependencies) -> Outcome:
    Orchestrator(deps.releases).end(
        release_id, _error_message(str(event.get("reason") or "the state machine failed"))
    )
    return "closed", None


def _error_message(cause: str) -> str:
    """Return the error message in a failed state's cause, or the cause if it is no function error.

    https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
    """
    try:
        found = json.loads(cause)
    except ValueError:
        return cause
    return (
        str(found["errorMessage"]) if isinstance(found, dict) and "errorMessage" in found else cause
    )


Action = Callable[[str, Mapping[str, Any], Dependencies], Outcome]

_ACTIONS: Final[Mapping[str, Action]] = {
    "begin": _begin,
    "check": _step(Orchestrator.check),
    "cut": _step(Orchestrator.cut),
    "test": _step(Orchestrator.test),
    "advance": _advance,
    "close": _close,
    "abort": _abort,
    "publish_page": _publish_page,
}


handler = lambda_handler(Dependencies.from_env, lambda event, found, _: act(event, found))
