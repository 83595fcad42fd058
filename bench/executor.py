"""The Lambda executor: what it adds to LocalStack, warm, cold, busy, and through API Gateway.

Starts a LocalStack of its own on a free port. Beside the figures, in the same run: a DryRun, which
goes through all of LocalStack's Lambda API but runs nothing, and the emulator's health check.

    python -m bench.executor [--calls N] [--colds N] [--sources FOLDER] [--set NAME=VALUE]
"""

import argparse
import http.client
import json
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import chalice
import numpy as np
import psutil

from bench import closed_loop_load
from bench.benchmark_report import ROOT, Row, publish
from bench.closed_loop_load import Call, Load
from bench.emulated_functions import archive, create, invoke, wait
from movierec import settings
from movierec.aws.session import client
from movierec.errors import MovierecError, ReleaseError
from movierec.model import artifact, sealed_folder
from movierec.releases import smoke_test
from movierec.stack import run_environment
from movierec.stack.layout import Project, Run
from movierec.stack.packaging import lambda_packages
from movierec.stack.processes import child_environment
from movierec.stack.processes.client import Client
from movierec.stack.services import emulator

EMPTY, HEAVY, ROUTE, API = "bench-empty", "bench-heavy", "bench-route", "bench-api"
LONG, SHORT = "bench-long", "bench-short"

# Twice what LocalStack takes for a call that runs nothing, on two cores of the usual kind.
WARM_GOAL_MS = 8.0
# An execution environment is two small processes and an interpreter's imports. Below 300 ms a
# retry or a page load hides it; the API adds numpy, powertools and its model.
COLD_GOAL_MS = 300.0
COLD_API_GOAL_MS = 700.0
# What a first trial of 80 lines, with none of AWS's limits, reached through API Gateway.
TRIAL_PER_S = 90.0
CONNECTIONS = (8, 32)

# As when a retraining and the lake's maintenance run at once, each with a thread for every core.
BUSY = 2 * (os.cpu_count() or 1)
BUSY_S = 10.0
# Time-outs of a function that may be waited for, and of one that nobody waits for.
TIMEOUTS_S = {SHORT: 60, LONG: 900}

_RESPONSE = '{"statusCode": 200, "body": "ok"}'
_BUSY_CODE = """
import time
def handler(seconds, context):
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        pass
"""
_CODE = {
    EMPTY: "def handler(event, context):\n    return None\n",
    HEAVY: "import boto3, numpy\ndef handler(event, context):\n    return None\n",
    SHORT: _BUSY_CODE,
    LONG: _BUSY_CODE,
    ROUTE: f"def handler(event, context):\n    return {_RESPONSE}\n",
}
_MODEL = "20261120T101500Z-bench-executor"


@dataclass(frozen=True, slots=True)
class Cold:
    """Cold starts in milliseconds: the caller's wait, and the init phase from REPORT."""

    answered_ms: float
    init_ms: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write build/bench/executor.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=800, help="calls for each figure")
    parser.add_argument("--colds", type=int, default=9, help="cold starts for each figure")
    parser.add_argument("--sources", type=Path, help="src/ of an executor that is not installed")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="setting of LocalStack"
    )
    parser.add_argument("--name", default="executor", help="of the JSON file")
    given = parser.parse_args(arguments)
    if given.calls < max(CONNECTIONS):
        parser.error(f"--calls: at least {max(CONNECTIONS)}, one for each connection")
    project = Project(ROOT)
    extra = dict(each.split("=", 1) for each in given.set)
    if given.sources is not None:
        extra["PYTHONPATH"] = str(given.sources.resolve())
    with running(project, extra) as url:
        rows = [
            *_warm(given.calls),
            _beside_busy_ones(),
            *_colds(project, given.colds),
            *_gateway(url, given.calls),
        ]
    publish(given.name, rows, calls=given.calls, colds=given.colds, settings=given.set)
    return 0 if all(row.ok is not False for row in rows) else 1


@contextmanager
def running(project: Project, extra: Mapping[str, str]) -> Iterator[str]:
    """Run an emulator in a temporary folder, make it this process's AWS, and give its URL.

    `extra` is added to its environment.
    """
    with tempfile.TemporaryDirectory(prefix="movierec-bench-") as folder:
        run = Run(project, Path(folder) / "bench-executor").create()
        with Client(run) as daemon:
            spec = emulator.spec(run, os.environ)
            daemon.start(replace(spec, env={**spec.env, **extra}))
            url = f"http://{spec.env['GATEWAY_LISTEN']}"
            run_environment.adopt(child_environment.emulated_aws(url))
            yield url


# Warm ---------------------------------------------------------------------------------------


def _warm(calls: int) -> list[Row]:
    create(EMPTY, archive({"app.py": _CODE[EMPTY]}))
    invoke(EMPTY)
    floor = _measured(_dry_running, calls)
    warm = _measured(_invoking, calls)
    inside_ms = statistics.median(_reported(EMPTY, "Duration") for _ in range(50))
    floor_ms, warm_ms = floor.percentile_ms(50), warm.percentile_ms(50)
    rival = "DryRun: LocalStack itself"
    return [
        Row(
            "warm invoke, empty handler, median",
            warm_ms,
            "ms",
            goal=WARM_GOAL_MS,
            rival=rival,
            rival_value=floor_ms,
        ),
        Row(
            "warm invoke, empty handler, 95th percentile",
            warm.percentile_ms(95),
            "ms",
            rival=rival,
            rival_value=floor.percentile_ms(95),
        ),
        Row("what running the function adds to LocalStack", warm_ms - floor_ms, "ms"),
        Row("of that, sandbox and runtime (REPORT Duration)", inside_ms, "ms"),
    ]


def _measured(connect: Callable[[], Call], calls: int, callers: int = 1) -> Load:
    closed_loop_load.run(connect, callers=callers, calls=5 * callers, users=1)
    return closed_loop_load.run(connect, callers=callers, calls=calls, users=1)


def _invoking() -> Call:
    aws: Any = client("lambda")
    return lambda _: aws.invoke(FunctionName=EMPTY)["Payload"].read()


def _dry_running() -> Call:
    aws: Any = client("lambda")
    return lambda _: aws.invoke(FunctionName=EMPTY, InvocationType="DryRun")["Payload"].read()


def _beside_busy_ones() -> Row:
    """Invoke the empty handler while asynchronous invocations keep the processors busy."""
    for name, timeout_s in TIMEOUTS_S.items():
        create(name, archive({"app.py": _CODE[name]}), Timeout=timeout_s)
    return Row(
        f"warm invoke beside {BUSY} busy functions of 15 minutes, median",
        statistics.median(_took_beside_ms(LONG)),
        "ms",
        rival="beside as many of one minute",
        rival_value=statistics.median(_took_beside_ms(SHORT)),
    )


def _took_beside_ms(name: str) -> Iterator[float]:
    call = _invoking()
    with ThreadPoolExecutor(BUSY) as pool:
        busy = [pool.submit(invoke, name, json.dumps(BUSY_S).encode()) for _ in range(BUSY)]
        while not any(each.done() for each in busy):
            begin_s = time.perf_counter()
            call(0)
            yield (time.perf_counter() - begin_s) * 1000
        for each in busy:
            each.result()


# Cold ---------------------------------------------------------------------------------------


def _colds(project: Project, count: int) -> list[Row]:
    env = child_environment.basic(os.environ) | child_environment.internet(os.environ)
    lambda_packages.build_vendor(project, env)
    create(HEAVY, _numpy_archive(project))
    rows = [
        *_cold_rows("empty function", EMPTY, count, goal=COLD_GOAL_MS),
        *_cold_rows("numpy and boto3", HEAVY, count),
    ]
    try:
        _create_api(project)
    except MovierecError as exc:
        print(f"no figures of the API's cold start: {exc}")
        return rows
    event = json.dumps(smoke_test.event()).encode()
    return [*rows, *_cold_rows("the API", API, count, event=event, goal=COLD_API_GOAL_MS)]


def _cold_rows(
    what: str, function: str, count: int, *, event: bytes = b"null", goal: float | None = None
) -> list[Row]:
    colds = [cold_start(function, event, number) for number in range(count)]
    begin_s = time.perf_counter()
    invoke(function, event)
    return [
        Row(
            f"cold start, {what}, median",
            statistics.median(cold.answered_ms for cold in colds),
            "ms",
            goal=goal,
            rival="a warm one",
            rival_value=(time.perf_counter() - begin_s) * 1000,
        ),
        Row(
            f"of that, init ({what})",
            statistics.median(cold.init_ms for cold in colds),
            "ms",
        ),
    ]


def cold_start(function: str, event: bytes, number: int) -> Cold:
    """Give a function a new environment and time its first answer."""
    aws = client("lambda")
    aws.update_function_configuration(FunctionName=function, Description=f"cold start {number}")
    wait("function_updated_v2", function)
    begin_s = time.perf_counter()
    log = invoke(function, event)
    return Cold((time.perf_counter() - begin_s) * 1000, _in_report(log, "Init Duration"))


def _create_api(project: Project) -> None:
    """Deploy the API's package with a model of a few users. Raises MovierecError."""
    s3 = client("s3")
    s3.create_bucket(Bucket="bench-artifacts")
    files = artifact.pack(_tiny_model())
    facts = {"model_version": _MODEL, "groups": [artifact.UNKNOWN_GROUP]}
    for name, body in {
        **files,
        sealed_folder.MANIFEST_FILE: sealed_folder.seal(files, facts),
    }.items():
        s3.put_object(Bucket="bench-artifacts", Key=artifact.key(_MODEL, name), Body=body)
    variables = {settings.ARTIFACTS_BUCKET: "bench-artifacts", settings.MODEL_VERSION: _MODEL}
    create(
        API,
        _api_archive(project),
        Handler="app.app",
        MemorySize=1769,
        Environment={"Variables": variables},
    )
    invoke(API, json.dumps(smoke_test.event()).encode())


def _tiny_model() -> artifact.Model:
    movies = [f"movie+{number}" for number in range(60)]
    popular = tuple(movies[: artifact.TOP_K])
    return artifact.Model(
        topk=np.tile(np.arange(artifact.TOP_K, dtype=np.uint16), (10, 1)),
        user_ids=np.arange(1, 11, dtype=np.int64),
        movie_ids=movies,
        popular=artifact.Popular(popular, popular, {}),
        user_groups=np.zeros(11, np.uint8),
        user_factors=np.zeros((10, 4), np.float32),
        item_factors=np.zeros((60, 4), np.float32),
    )


def _api_archive(project: Project) -> bytes:
    """Return what Chalice would pack, in its layout."""
    app, runtime = project.root / "chalice_app", Path(chalice.__file__).parent
    files = {name: (runtime.parent / name) for name in ("chalice/__init__.py", "chalice/app.py")}
    files |= {"app.py": app / "app.py"} | _below(app / "chalicelib", "chalicelib/")
    return archive({name: path.read_bytes() for name, path in _vendored(app, files).items()})


def _vendored(app: Path, files: Mapping[str, Path]) -> dict[str, Path]:
    return {**_below(app / "vendor", ""), **files}


def _numpy_archive(project: Project) -> bytes:
    """Return a function that imports numpy, from the API's vendor folder."""
    vendor = project.root / "chalice_app" / "vendor"
    files = {
        name: path.read_bytes()
        for name, path in _below(vendor, "").items()
        if name.startswith("numpy")
    }
    return archive({**files, "app.py": _CODE[HEAVY]})


def _below(folder: Path, prefix: str) -> dict[str, Path]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {prefix + path.relative_to(folder).as_posix(): path for path in found}


# Through API Gateway ------------------------------------------------------------------------


def _gateway(url: str, calls: int) -> list[Row]:
    create(ROUTE, archive({"app.py": _CODE[ROUTE]}))
    stage = f"{url}/_aws/execute-api/{_rest_api(ROUTE)}/bench/ok"
    return [row for callers in CONNECTIONS for row in _gateway_rows(callers, url, stage, calls)]


def _gateway_rows(callers: int, url: str, stage: str, calls: int) -> list[Row]:
    nothing = _measured(lambda: _getting(f"{url}/_localstack/health"), calls, callers)
    server = _listener(url)
    before_s = _processor_s(server)
    found = _measured(lambda: _getting(stage), calls, callers)
    spent_ms = (_processor_s(server) - before_s) * 1000 / (len(found.latencies_ms) + 5 * callers)
    return [
        Row(
            f"through API Gateway, {callers} connections",
            found.calls_per_s,
            "requests/s",
            better="higher",
            goal=TRIAL_PER_S,
            rival="the emulator's health check",
            rival_value=nothing.calls_per_s,
        ),
        Row(f"median, {callers} connections", found.percentile_ms(50), "ms"),
        Row(f"99th percentile, {callers} connections", found.percentile_ms(99), "ms"),
        Row(f"LocalStack's processor time a request, {callers} connections", spent_ms, "ms"),
    ]


def _listener(url: str) -> psutil.Process:
    """Return the process that listens on a URL's port."""
    port = urlsplit(url).port
    listening = (c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN)
    pids = {c.pid for c in listening if c.laddr and c.laddr.port == port}
    return psutil.Process(pids.pop())


def _processor_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _rest_api(function: str) -> str:
    """Return a REST API with one route to a function, deployed to stage `bench`."""
    aws = client("apigateway")
    arn = client("lambda").get_function_configuration(FunctionName=function)["FunctionArn"]
    api: str = aws.create_rest_api(name=function)["id"]
    root = aws.get_resources(restApiId=api)["items"][0]["id"]
    resource = aws.create_resource(restApiId=api, parentId=root, pathPart="ok")["id"]
    place: dict[str, Any] = {"restApiId": api, "resourceId": resource, "httpMethod": "GET"}
    aws.put_method(**place, authorizationType="NONE")
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations"
    aws.put_integration(**place, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    aws.create_deployment(restApiId=api, stageName="bench")
    return api


def _getting(url: str) -> Call:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)

    def call(_: int) -> None:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise ReleaseError(f"{url}: status {answer.status}: {body[:200]!r}")

    return call


def _reported(function: str, field: str) -> float:
    return _in_report(invoke(function), field)


def _in_report(log: str, field: str) -> float:
    found = re.search(rf"\t{field}: ([\d.]+) ms", log)
    if found is None:
        raise ReleaseError(f"no {field} in the log:\n{log}")
    return float(found[1])


if __name__ == "__main__":
    raise SystemExit(main())
