"""Convert a traffic split to a Lambda alias and back, and a function's ARN to a qualified one."""

import re
from collections.abc import Mapping
from typing import Any, Final

from movierec.releases.traffic_split import ALIAS, ALL_PERCENT, TrafficSplit

_ALIAS_DESCRIPTION: Final = re.compile(r"stable is version (\d+), release (\S+)")


def of_alias(alias: Mapping[str, Any]) -> TrafficSplit:
    """Return the traffic split of an alias, from GetAlias.

    https://docs.aws.amazon.com/lambda/latest/api/API_AliasRoutingConfiguration.html
    """
    version = str(alias["FunctionVersion"])
    weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    described = _ALIAS_DESCRIPTION.fullmatch(alias.get("Description") or "")
    for other, weight in weights.items():  # Lambda allows one
        percent = round(weight * ALL_PERCENT, 6)
        if described and described[1] == other:
            return TrafficSplit(other, version, ALL_PERCENT - percent)
        return TrafficSplit(version, other, percent)
    return TrafficSplit(version)


def release_of(alias: Mapping[str, Any]) -> str | None:
    """Return the release that last moved an alias, None if it was moved outside of releases."""
    found = _ALIAS_DESCRIPTION.fullmatch(alias.get("Description") or "")
    return found[2] if found else None


def to_alias(split: TrafficSplit, release: str) -> dict[str, Any]:
    """Return the arguments of CreateAlias and UpdateAlias for a traffic split.

    An additional version cannot get all requests: at 100 % the canary becomes the alias's own
    version and the stable one the additional, with weight 0. The description names the stable one.
    """
    version, other, weight = split.stable, split.canary, split.canary_percent / ALL_PERCENT
    if split.canary is not None and split.canary_percent == ALL_PERCENT:
        version, other, weight = split.canary, split.stable, 0.0
    return {
        "FunctionVersion": version,
        "Description": f"stable is version {split.stable}, release {release}",
        "RoutingConfig": {"AdditionalVersionWeights": {other: round(weight, 8)} if other else {}},
    }


# arn:<partition>:lambda:<region>:<account>:function:<name>[:<qualifier>]
_FUNCTION_URI: Final = re.compile(
    r"(?P<head>.+:lambda:path/.+/functions/)(?P<arn>arn(?::[^:/]+){6})(?::[^:/]+)?(?P<tail>/.+)"
)


def function_in(uri: str) -> str | None:
    """Return the unqualified ARN of an integration's function, None without one."""
    match = _FUNCTION_URI.fullmatch(uri)
    return match["arn"] if match else None


def with_qualified_arn(uri: str) -> str:
    """Return an integration's URI with its function's ARN qualified by the alias, if it has one.

    `...:function:movierec-api/invocations` becomes `...:function:movierec-api:live/invocations`.
    """
    return _FUNCTION_URI.sub(rf"\g<head>\g<arn>:{ALIAS}\g<tail>", uri)


def with_unqualified_arn(uri: str) -> str:
    """Return an integration's URI with its function's ARN unqualified, if it has one."""
    return _FUNCTION_URI.sub(r"\g<head>\g<arn>\g<tail>", uri)
