"""The smoke test of a version before it gets requests: one event as API Gateway sends it."""

from collections.abc import Mapping
from typing import Any, Final

from movierec.api_contract import FUNCTION_VERSION, MODEL_VERSION, RECOMMEND_PATH
from movierec.releases.ports import ServedFunction

USER_IDS: Final = (1, 1_000, 1_000_000)
"""Known to the model or not: each must get a list."""


def event(user_id: int = USER_IDS[0]) -> dict[str, Any]:
    """Return API Gateway's event for `GET /recommend/<user_id>`.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
    """
    path, route = f"{RECOMMEND_PATH}{user_id}", f"{RECOMMEND_PATH}{{user_id}}"
    return {
        "resource": route,
        "path": path,
        "httpMethod": "GET",
        "headers": {"Accept": "*/*", "User-Agent": "movierec-smoke"},
        "multiValueHeaders": {"Accept": ["*/*"]},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"user_id": str(user_id)},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": route,
            "httpMethod": "GET",
            "path": path,
            "requestId": "smoke",
            "identity": {"sourceIp": "127.0.0.1"},
        },
        "body": None,
        "isBase64Encoded": False,
    }


def run(function: ServedFunction, version: str, model_version: str) -> tuple[str, ...]:
    """Request the lists of `USER_IDS` from a version, and return the faults of the first bad one.

    Empty if it passes. Raises ReleaseError, ReleaseNotFoundError and UnavailableError.
    """
    answers = (function.invoke(version, event(user)) for user in USER_IDS)
    found = (faults(each, version=version, model_version=model_version) for each in answers)
    return next((wrong for wrong in found if wrong), ())


def faults(answer: object, *, version: str, model_version: str) -> tuple[str, ...]:
    """Return the faults of a version's answer to `event`; empty if it passes."""
    if not isinstance(answer, Mapping) or "statusCode" not in answer:
        return (f"the function answered {str(answer)[:200]}",)
    body = str(answer.get("body", ""))
    if answer["statusCode"] != 200:  # noqa: PLR2004  # HTTP's OK
        return (f"status {answer['statusCode']}: {body[:200]}",)
    headers = {k.lower(): v for k, v in (answer.get("headers") or {}).items()}
    expected = {FUNCTION_VERSION.lower(): version, MODEL_VERSION.lower(): model_version}
    found = [
        f"{name} is {headers.get(name)!r}, not {value!r}"
        for name, value in expected.items()
        if headers.get(name) != value
    ]
    ids = [movie_id for movie_id in body.split(",") if movie_id]
    if not ids or len(set(ids)) != len(ids):
        found.append(f"no list of distinct movie ids: {body[:200]!r}")
    return tuple(found)
