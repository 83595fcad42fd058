"""Releases as values: who gets which version, what a step changes, and what a step is called.

A release moves users from one published version of the API function, the stable one, to another,
the canary:

    cut ─▶ smoke ─▶ weigh 5% ─▶ 25% ─▶ 50% ─▶ 100% ─▶ promote
             │                 └──────────┴──────┴──────▶ roll back
             └▶ abort (nobody was ever sent to it)

Functions here take a `Routing` and return the next one; carrying it out is
`movierec.aws.releases`. A step that its state does not allow raises ReleaseError.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from movierec import artifact
from movierec.errors import ReleaseError

PREFIX: Final = "releases/"

ALIAS: Final = "live"
"""Name of the Lambda alias, and of the API Gateway stage in front of it."""

ALL_PERCENT: Final = 100.0

StepName = Literal["cut", "smoke", "route", "weigh", "promote", "rollback", "abort"]


@dataclass(frozen=True, slots=True)
class Routing:
    """Which published versions users get: `canary_percent` of them the canary, if there is one.

    Versions are Lambda's own: "1", "2", ... A canary may have 0 %: it exists, nobody is sent.
    """

    stable: str
    canary: str | None = None
    canary_percent: float = 0.0

    def __post_init__(self) -> None:
        """Raise ReleaseError for a split that makes no sense."""
        if not 0 <= self.canary_percent <= ALL_PERCENT:
            raise ReleaseError(f"{self.canary_percent}% of users: choose 0 to 100")
        if self.canary is None and self.canary_percent:
            raise ReleaseError(f"{self.canary_percent}% of users, but for no canary: cut one first")
        if self.canary == self.stable:
            raise ReleaseError(f"version {self.stable} cannot be stable and canary at once")


def route(before: Routing | None, version: str, canary_percent: float | None) -> Routing:
    """Return the routing with a new version in it.

    The first version there ever is gets everybody. After that, `canary_percent` of users get the
    new version as canary; None moves everybody at once. Cutting what is stable already changes
    nothing. Raises ReleaseError while another canary is out.
    """
    if before is None:
        return Routing(version)
    if before.canary not in (None, version):
        raise ReleaseError(
            f"version {before.canary} is canary with {before.canary_percent:g}% of users: "
            "promote it or roll it back before releasing another"
        )
    if version == before.stable:
        return before
    if canary_percent is None:
        return Routing(version)
    return Routing(before.stable, version, canary_percent)


def weigh(before: Routing, canary_percent: float) -> Routing:
    """Return the routing with another share for the canary. Raises ReleaseError without one."""
    return Routing(before.stable, _canary(before, "weighed"), canary_percent)


def promote(before: Routing) -> Routing:
    """Return the routing with the canary stable for everybody. Raises ReleaseError without one."""
    return Routing(_canary(before, "promoted"))


def roll_back(before: Routing) -> Routing:
    """Return the routing without its canary: repeatable, and always allowed."""
    return Routing(before.stable)


def _canary(routing: Routing, done: str) -> str:
    if routing.canary is None:
        raise ReleaseError(
            f"no canary can be {done}: version {routing.stable} has all users; it was rolled back, "
            "or never released (see releases/ in the artifacts bucket)"
        )
    return routing.canary


# Lambda's words -----------------------------------------------------------------------------


_ALIAS_DESCRIPTION: Final = re.compile(r"stable is version (\d+), release (\S+)")


def of_alias(alias: Mapping[str, Any]) -> Routing:
    """Return the routing of an alias as Lambda's GetAlias describes it.

    https://docs.aws.amazon.com/lambda/latest/api/API_AliasRoutingConfiguration.html
    """
    version = str(alias["FunctionVersion"])
    weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    said = _ALIAS_DESCRIPTION.fullmatch(alias.get("Description") or "")
    for other, weight in weights.items():  # Lambda allows one
        percent = round(weight * ALL_PERCENT, 6)
        if said and said[1] == other:
            return Routing(other, version, ALL_PERCENT - percent)
        return Routing(version, other, percent)
    return Routing(version)


def release_of(alias: Mapping[str, Any]) -> str | None:
    """Return the release that last moved an alias, None if it was moved by other means."""
    said = _ALIAS_DESCRIPTION.fullmatch(alias.get("Description") or "")
    return said[2] if said else None


def to_alias(routing: Routing, release: str) -> dict[str, Any]:
    """Return what Lambda's CreateAlias and UpdateAlias are told about a routing.

    An additional version never gets everybody: at 100 % the canary becomes the alias's own version
    and the stable one the additional, with weight 0. The description tells which is which.
    """
    version, other, weight = routing.stable, routing.canary, routing.canary_percent / ALL_PERCENT
    if routing.canary is not None and routing.canary_percent == ALL_PERCENT:
        version, other, weight = routing.canary, routing.stable, 0.0
    return {
        "FunctionVersion": version,
        "Description": f"stable is version {routing.stable}, release {release}",
        "RoutingConfig": {"AdditionalVersionWeights": {other: round(weight, 8)} if other else {}},
    }


# arn:<partition>:lambda:<region>:<account>:function:<name>[:<qualifier>]
_FUNCTION_URI: Final = re.compile(
    r"(?P<head>.+:lambda:path/.+/functions/)(?P<arn>arn(?::[^:/]+){6})(?::[^:/]+)?(?P<tail>/.+)"
)


def function_in(uri: str) -> str | None:
    """Return the unqualified ARN of the function that an integration invokes, None if none."""
    match = _FUNCTION_URI.fullmatch(uri)
    return match["arn"] if match else None


def through_alias(uri: str) -> str:
    """Return an integration's URI with its function qualified by the alias; others stay.

    `...:function:movierec-api/invocations` becomes `...:function:movierec-api:live/invocations`.
    """
    return _FUNCTION_URI.sub(rf"\g<head>\g<arn>:{ALIAS}\g<tail>", uri)


def past_alias(uri: str) -> str:
    """Return an integration's URI with its function unqualified; others stay."""
    return _FUNCTION_URI.sub(r"\g<head>\g<arn>\g<tail>", uri)


# Records ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """One transition of a release, as written down before it is carried out."""

    release_id: str
    function: str
    model_version: str | None
    before: Routing | None
    name: StepName = "cut"
    version: str | None = None
    after: Routing | None = None
    reason: str = ""
    at: str = ""
    """UTC, ISO 8601."""


def release_id(now: datetime) -> str:
    """Return a release's name, which sorts by time: `20261120T101500123Z`. `now` is aware."""
    utc = now.astimezone(UTC)
    return f"{utc:%Y%m%dT%H%M%S}{utc.microsecond // 1000:03d}Z"


def step_key(release: str, number: int, name: StepName) -> str:
    """Return the object key of a release's `number`th step, counted from 1."""
    return f"{PREFIX}{release}/{number:04d}-{name}.json"


def step_number(key: str) -> int:
    """Return the number in a step's key."""
    return int(key.rpartition("/")[2].partition("-")[0])


def dump_step(step: Step) -> bytes:
    """Return a step as JSON."""
    return artifact.dump_json(asdict(step))


def describe_version(release: str, model_version: str, description: str) -> str:
    """Return the Description of a published version, which ties it to its release.

    Lambda keeps 256 characters.
    """
    return f"{release} {model_version} {description}".strip()[:256]


# Smoke test ---------------------------------------------------------------------------------

SMOKE_USER_ID: Final = 1
"""Known to the model or not: it must get a list either way."""


def smoke_event(user_id: int = SMOKE_USER_ID) -> dict[str, Any]:
    """Return the event that API Gateway would send for `GET /recommend/<user_id>`.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
    """
    path, method = f"/recommend/{user_id}", "GET"
    return {
        "resource": "/recommend/{user_id}",
        "path": path,
        "httpMethod": method,
        "headers": {"Accept": "*/*", "User-Agent": "movierec-smoke"},
        "multiValueHeaders": {"Accept": ["*/*"]},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"user_id": str(user_id)},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": "/recommend/{user_id}",
            "httpMethod": method,
            "path": path,
            "requestId": "smoke",
            "identity": {"sourceIp": "127.0.0.1"},
        },
        "body": None,
        "isBase64Encoded": False,
    }


def smoke_faults(answer: object, *, version: str, model_version: str) -> tuple[str, ...]:
    """Return what is wrong with a version's answer to `smoke_event`; nothing, if it is fit."""
    if not isinstance(answer, Mapping) or "statusCode" not in answer:
        return (f"the function answered {str(answer)[:200]}",)
    body = str(answer.get("body", ""))
    if answer["statusCode"] != 200:  # noqa: PLR2004  # HTTP's OK
        return (f"status {answer['statusCode']}: {body[:200]}",)
    headers = {k.lower(): v for k, v in (answer.get("headers") or {}).items()}
    expected = {"x-function-version": version, "x-model-version": model_version}
    faults = [
        f"{name} is {headers.get(name)!r}, not {value!r}"
        for name, value in expected.items()
        if headers.get(name) != value
    ]
    ids = [movie_id for movie_id in body.split(",") if movie_id]
    if not ids or len(set(ids)) != len(ids):
        faults.append(f"no list of distinct movie ids: {body[:200]!r}")
    return tuple(faults)
