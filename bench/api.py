"""The API through API Gateway: latency and requests/s at 1, 8 and 32 connections.

Beside it, in the same run: the same function version invoked directly, without API Gateway; the
emulator's health check, its upper limit; and the proxy, if it runs, which is what the site sees.
And a cold start, from nothing to an answer.

    python -m bench.api [--calls N]                     on a stack that it starts
    python -m bench.api --run NAME [--calls N]          on a running stack
    python -m bench.api --aws URL --api URL [--proxy URL] [--function NAME]
"""

import argparse
import http.client
import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench import closed_loop_load
from bench.benchmark_report import Row, publish
from bench.closed_loop_load import Call, Load
from bench.running_stack import playing
from movierec.aws.session import client
from movierec.errors import ReleaseError
from movierec.releases import smoke_test
from movierec.releases.traffic_split import ALIAS
from movierec.stack import run_environment, run_status
from movierec.stack.deploy.chalice_api import FUNCTION
from movierec.stack.layout import find_project
from movierec.stack.processes import child_environment
from movierec.stack.processes.client import Client

CONNECTIONS = (1, 8, 32)

# A bare trial on LocalStack 4.14 gave 9.4 ms and 90 requests/s; the emulator is the ceiling.
P50_GOAL_MS = 10.0
RATE_GOAL_PER_S = 90.0
# The proxy's deadline is 400 ms: a cold start costs a user the fallback whatever we do, but only
# below a second does it cost one user, not several.
COLD_GOAL_MS = 700.0
COLD_STARTS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write build/bench/api.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", help="a running stack")
    parser.add_argument("--aws", help="the emulator's address")
    parser.add_argument("--api", help="URL of API Gateway stage live")
    parser.add_argument("--proxy", default="", help="URL of the proxy")
    parser.add_argument("--function", default=FUNCTION)
    parser.add_argument("--users", type=int, default=20_000, help="user ids are 1 to this")
    parser.add_argument("--calls", type=int, default=1_000, help="calls for each figure")
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        if not given.run and not given.api:
            played = stack.enter_context(playing("--events=200000"))
            # Its live traffic would be measured, too.
            Client(played.run).stop("live")
            given.run = played.run.name
        return _measure(given)


def _measure(given: argparse.Namespace) -> int:
    endpoints = _endpoints(given)
    run_environment.adopt(child_environment.emulated_aws(endpoints["aws"]))
    rows = [row for callers in CONNECTIONS for row in _rows(callers, endpoints, given)]
    rows.append(_cold_start(given.function))
    publish("api", rows, calls=given.calls, users=given.users)
    return 0 if all(row.ok is not False for row in rows) else 1


def _endpoints(given: argparse.Namespace) -> Mapping[str, str]:
    if given.aws and given.api:
        return {"aws": given.aws, "api": given.api, "proxy": given.proxy}
    run = find_project(os.environ, Path.cwd()).run(given.run)
    found: Mapping[str, str] = run_status.collect(run)["endpoints"]
    if not found.get("api"):
        raise SystemExit(f"run {given.run} has no API: `movierec up`, or give --aws and --api")
    return found


def _rows(callers: int, endpoints: Mapping[str, str], given: argparse.Namespace) -> list[Row]:
    def measured(call: Any) -> Load:  # noqa: ANN401
        closed_loop_load.run(call, callers=callers, calls=2 * callers, users=given.users)  # warm
        return closed_loop_load.run(call, callers=callers, calls=given.calls, users=given.users)

    api = measured(lambda: _getting(endpoints["api"], "/recommend/{}"))
    direct = measured(lambda: _invoking(given.function))
    empty = measured(lambda: _getting(endpoints["aws"], "/_localstack/health"))
    connections = f"{callers} connection{'s' if callers > 1 else ''}"
    one = callers == 1
    rows = [
        Row(
            f"API, median, {connections}",
            api.percentile_ms(50),
            "ms",
            goal=P50_GOAL_MS if one else None,
            rival="Lambda invoked directly",
            rival_value=direct.percentile_ms(50),
        ),
        Row(f"API, 99th percentile, {connections}", api.percentile_ms(99), "ms"),
        Row(
            f"API, {connections}",
            api.calls_per_s,
            "requests/s",
            better="higher",
            goal=None if one else RATE_GOAL_PER_S,
            rival="the emulator's health check",
            rival_value=empty.calls_per_s,
        ),
    ]
    if endpoints.get("proxy"):
        proxy = measured(lambda: _getting(endpoints["proxy"], "/recommend/{}"))
        rows.append(
            Row(
                f"through the proxy, {connections}",
                proxy.calls_per_s,
                "requests/s",
                better="higher",
                rival="API",
                rival_value=api.calls_per_s,
            )
        )
    return rows


def _getting(url: str, path: str) -> Call:
    """Return a call that GETs a path on a connection that it keeps."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)

    def call(user_id: int) -> None:
        connection.request("GET", parts.path + path.format(user_id))
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise ReleaseError(f"{url}: status {answer.status}: {body[:200]!r}")

    return call


def _invoking(function: str) -> Call:
    """Return a call that invokes the alias with the gateway's event."""
    client.cache_clear()  # a client, and so a connection, of its own
    aws = client("lambda")

    def call(user_id: int) -> None:
        _invoke(aws, function, ALIAS, user_id)

    return call


def _invoke(aws: Any, function: str, qualifier: str, user_id: int) -> None:  # noqa: ANN401
    event = json.dumps(smoke_test.event(user_id)).encode()
    answer = aws.invoke(FunctionName=function, Qualifier=qualifier, Payload=event)
    found = json.loads(answer["Payload"].read())
    if found.get("statusCode") != http.HTTPStatus.OK:
        raise ReleaseError(f"{function}:{qualifier}: {found}")


def _cold_start(function: str) -> Row:
    """Time the first answer of a new environment, and one of a warm environment as its rival."""
    aws = client("lambda")
    before = aws.get_function_configuration(FunctionName=function).get("Description", "")
    cold_ms, warm_ms = [], []
    for number in range(COLD_STARTS):
        # Any change of its configuration gives $LATEST a new environment.
        _describe(aws, function, f"cold start {number}")
        cold_ms.append(_timed_ms(aws, function))
        warm_ms.append(_timed_ms(aws, function))
    _describe(aws, function, before)
    return Row(
        "cold start, from nothing to an answer",
        statistics.median(cold_ms),
        "ms",
        goal=COLD_GOAL_MS,
        rival="a warm one",
        rival_value=statistics.median(warm_ms),
    )


def _describe(aws: Any, function: str, text: str) -> None:  # noqa: ANN401
    aws.update_function_configuration(FunctionName=function, Description=text)
    aws.get_waiter("function_updated_v2").wait(FunctionName=function)


def _timed_ms(aws: Any, function: str) -> float:  # noqa: ANN401
    begin_s = time.perf_counter()
    _invoke(aws, function, "$LATEST", smoke_test.USER_IDS[0])
    return (time.perf_counter() - begin_s) * 1000


if __name__ == "__main__":
    raise SystemExit(main())
