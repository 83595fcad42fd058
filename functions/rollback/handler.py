"""Lambda `movierec-rollback`: automatic rollback on a canary's alarm.

The alarm invokes it through SNS. It sends all requests back to the stable version and notifies
people. It needs no state machine, and is idempotent: an alarm that comes twice, late or for a
version that is no canary any more changes nothing. Lambda retries a failure twice; the function's
own alarm shows what still fails: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html

The page that its notice links to is published by functions/rollout, invoked asynchronously at the
end: if that fails, the rollback is done, and the page follows at the next action of the release.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from aws_lambda_powertools import Logger

from movierec import settings
from movierec.aws.cloudwatch_alarms import version_in
from movierec.aws.lambda_async_invoker import LambdaAsyncInvoker
from movierec.aws.lambda_handler import Context, lambda_handler
from movierec.aws.release_factory import open_releases
from movierec.errors import MovierecError, UsageError
from movierec.releases.ports import AsyncInvoker
from movierec.releases.registry import Releases
from movierec.releases.rollback import close, roll_back

SERVICE: Final = "movierec-rollback"


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Ports that the function uses."""

    releases: Releases
    rollout: AsyncInvoker
    logger: Logger

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Return the adapters to AWS. Raises ConfigError."""
        # Without the function's name only the page is missing: no reason to refuse a rollback.
        rollout = LambdaAsyncInvoker(env.get(settings.ROLLOUT_FUNCTION, ""))
        return cls(open_releases(env), rollout, Logger(service=SERVICE))


@dataclass(frozen=True, slots=True)
class Alarm:
    """A state change of a CloudWatch alarm, as published on SNS."""

    name: str
    state: str
    reason: str


def handle_alarm(alarm: Alarm, deps: Dependencies) -> str | None:
    """Roll a version back if its alarm fired; return the version if it was the canary."""
    version = version_in(alarm.name)
    if version is None or alarm.state != "ALARM":
        deps.logger.info("alarm_passed_over", extra={"alarm": alarm.name, "state": alarm.state})
        return None
    alias = deps.releases.function.alias()
    was_canary = alias is not None and alias.split.canary == version
    facts = {"alarm": {"name": alarm.name, "reason": alarm.reason}}
    roll_back(deps.releases, f"alarm {alarm.name}: {alarm.reason}", of=version, facts=facts)
    deps.logger.warning("canary_rolled_back", extra={"version": version, "alarm": alarm.name})
    if alias and alias.release_id:
        # Leaves an open release alone: the alarm may be a late one of an earlier release.
        close(deps.releases, alias.release_id)
        request_page(alias.release_id, deps)
    return version if was_canary else None


def request_page(release_id: str, deps: Dependencies) -> None:
    """Request a release's page: the state machine, which usually publishes it, may be dead."""
    try:
        deps.rollout.invoke({"action": "publish_page", "release_id": release_id})
    except MovierecError as exc:
        deps.logger.warning("page_not_requested", extra={"error": str(exc)})


def alarms(event: Mapping[str, Any]) -> Iterator[Alarm]:
    """Parse the alarms in an SNS event. Raises UsageError.

    https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
    """
    try:
        for record in event["Records"]:
            message = json.loads(record["Sns"]["Message"])
            yield Alarm(message["AlarmName"], message["NewStateValue"], message["NewStateReason"])
    except (KeyError, TypeError, ValueError) as exc:
        raise UsageError(f"not an alarm's message from SNS ({exc!r}): {str(event)[:200]}") from exc


def _respond(event: Mapping[str, Any], found: Dependencies, _context: Context) -> dict[str, Any]:
    return {
        "rolled_back": [
            version for alarm in alarms(event) if (version := handle_alarm(alarm, found))
        ]
    }


handler = lambda_handler(Dependencies.from_env, _respond)
