"""Lambda `movierec-rollback`: the operational brake.

A canary's alarm calls it through SNS. It sends everybody back to the stable version and tells
people; it needs no state machine, and a call that comes twice, late or for a version that is no
canary any more changes nothing. What fails is retried by Lambda, twice, and then shows in the
function's own alarm: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html

The page that its notice links to is drawn by functions/rollout, asked asynchronously at the end:
when that fails, the rollback stands and the page tells of it at the next action of the release.
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
    """What the function needs of the world."""

    releases: Releases
    rollout: AsyncInvoker
    logger: Logger

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Return the real ones. Raises ConfigError."""
        # Without its name only the page is missing: no reason to refuse a rollback.
        rollout = LambdaAsyncInvoker(env.get(settings.ROLLOUT_FUNCTION, ""))
        return cls(open_releases(env), rollout, Logger(service=SERVICE))


@dataclass(frozen=True, slots=True)
class Alarm:
    """What CloudWatch says on a topic of an alarm that changed its state."""

    name: str
    state: str
    reason: str


def handle_alarm(alarm: Alarm, deps: Dependencies) -> str | None:
    """Take a version's users away if its alarm says so; return the version if it had any."""
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
        # It does nothing to a release that goes on: the alarm may be of an earlier one, and late.
        close(deps.releases, alias.release_id)
        request_page(alias.release_id, deps)
    return version if was_canary else None


def request_page(release_id: str, deps: Dependencies) -> None:
    """Have a release's page published. The state machine, which else does it, may have died."""
    try:
        deps.rollout.invoke({"action": "publish_page", "release_id": release_id})
    except MovierecError as exc:
        deps.logger.warning("page_not_requested", extra={"error": str(exc)})


def alarms(event: Mapping[str, Any]) -> Iterator[Alarm]:
    """Yield the alarms in an event of SNS. Raises UsageError.

    https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
    """
    try:
        for record in event["Records"]:
            said = json.loads(record["Sns"]["Message"])
            yield Alarm(said["AlarmName"], said["NewStateValue"], said["NewStateReason"])
    except (KeyError, TypeError, ValueError) as exc:
        raise UsageError(f"no alarm's message from SNS ({exc!r}): {str(event)[:200]}") from exc


def _respond(event: Mapping[str, Any], found: Dependencies, _context: Context) -> dict[str, Any]:
    return {
        "rolled_back": [
            version for alarm in alarms(event) if (version := handle_alarm(alarm, found))
        ]
    }


handler = lambda_handler(Dependencies.from_env, _respond)
