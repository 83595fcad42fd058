"""Wire the releases of the API's function to AWS."""

import os
from collections.abc import Mapping
from urllib.parse import quote

from movierec import settings
from movierec.aws.cloudwatch_alarms import CloudWatchAlarms, NullAlarms
from movierec.aws.lambda_function import LambdaFunction
from movierec.aws.s3_store import S3Store
from movierec.aws.sns_topic import SnsTopic
from movierec.releases.log import ReleaseLog
from movierec.releases.registry import Releases
from movierec.runtime.clock import SystemClock


def open_releases(env: Mapping[str, str] = os.environ) -> Releases:
    """Open the releases as the environment says. Raises ConfigError.

    Only the functions have the template of a canary's alarms; an operator's shell does not.
    """
    watched = bool(env.get(settings.CANARY_ALARMS))
    clock = SystemClock()
    return Releases(
        LambdaFunction(settings.require(env, settings.API_FUNCTION)),
        ReleaseLog(S3Store.from_env(env, settings.ARTIFACTS_BUCKET), clock),
        clock,
        CloudWatchAlarms.from_env(env) if watched else NullAlarms(),
        SnsTopic.from_env(env),
        lambda key: address(env, key),
    )


def address(env: Mapping[str, str], key: str) -> str:
    """Return an object's URL for a browser: in AWS's console, which requires a login.

    The emulator serves it without one.
    """
    bucket = settings.require(env, settings.ARTIFACTS_BUCKET)
    endpoint = env.get("AWS_ENDPOINT_URL", "").rstrip("/")
    if endpoint:
        return f"{endpoint}/{bucket}/{quote(key)}"
    region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION", "")
    return f"https://{region}.console.aws.amazon.com/s3/object/{bucket}?prefix={quote(key)}"
