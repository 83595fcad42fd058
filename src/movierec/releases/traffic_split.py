"""Who gets which version of the API function, as values, and Lambda's words for it.

Functions here take a `Routing` and return the next one; carrying it out is
`movierec.aws.lambda_function`. A step that its state does not allow raises ReleaseError.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from movierec.errors import ReleaseError

ALIAS: Final = "live"
"""Name of the Lambda alias, and of the API Gateway stage in front of it."""

ALL_PERCENT: Final = 100.0


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


def roll_back(before: Routing, to: str | None = None) -> Routing:
    """Return the routing without its canary: repeatable, and always allowed.

    With `to`, an earlier version is stable for everybody from then on.
    """
    return Routing(to or before.stable)


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


@dataclass(frozen=True, slots=True)
class Alias:
    """The alias as it is: its routing, the release that last moved it, and its revision.

    A change that names the revision is refused once anybody else has made another.
    """

    routing: Routing
    release_id: str | None
    revision: str
