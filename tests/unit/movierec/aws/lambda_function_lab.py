"""A deployed function on moto's Lambda, and releases of it by hand."""

import io
import json
import zipfile
from typing import Any

import boto3
from moto.awslambda_simple.models import lambda_simple_backends
from moto.core.models import DEFAULT_ACCOUNT_ID

from movierec.aws.lambda_function import LambdaFunction
from movierec.model import artifact, sealed_folder
from movierec.releases import smoke_test
from movierec.releases.by_hand import ByHand
from movierec.releases.log import ReleaseLog
from movierec.releases.registry import Releases
from movierec.releases.traffic_split import TrafficSplit
from movierec.testing.memory import FakeClock, MemoryStore
from movierec.testing.releases import MemoryAlarms, MemoryTopic

FUNCTION = "movierec-api"
M1, M2 = "20261120T101500Z-abc-def", "20261121T101500Z-abc-def"


class Client:
    """boto3's Lambda client on moto; counts calls, and fails those of `errors` by name."""

    def __init__(self) -> None:
        self._real: Any = boto3.client("lambda")
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.errors: dict[str, Exception] = {}

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)

        def call(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            if name in self.errors:
                raise self.errors[name]
            return real(**arguments)

        return real if name == "get_paginator" else call

    def last(self, name: str) -> dict[str, Any]:
        return next(arguments for called, arguments in reversed(self.calls) if called == name)


class Lab:
    """A deployed function, a bucket with two models, and what the function answers next."""

    def __init__(self) -> None:
        self.store = MemoryStore(
            {artifact.key(m, sealed_folder.MANIFEST_FILE): b"" for m in (M1, M2)}
        )
        self.client = Client()
        self.clock = FakeClock()
        self.slept_s: list[float] = []
        aws: Any = self.client
        self.function = LambdaFunction(FUNCTION, sleep=self.slept_s.append, aws=aws)
        log = ReleaseLog(self.store, self.clock)
        self.releases = Releases(
            self.function, log, self.clock, MemoryAlarms(), MemoryTopic(), lambda key: key
        )
        self.answers: list[str] = lambda_simple_backends[DEFAULT_ACCOUNT_ID][
            "us-east-1"
        ].lambda_simple_results_queue

    def answer(self, version: str, model: str, **changes: Any) -> None:
        headers = {"X-Function-Version": version, "X-Model-Version": model}
        answer = json.dumps({"statusCode": 200, "headers": headers, "body": "a,b", **changes})
        self.answers.extend([answer] * len(smoke_test.USER_IDS))

    def steps(self) -> list[str]:
        return [key.split("/")[-1].removesuffix(".json") for key in self.store.keys("releases/")]

    def environment(self, version: str | None = None) -> dict[str, str]:
        qualifier = {"Qualifier": version} if version else {}
        found = self.client.get_function_configuration(FunctionName=FUNCTION, **qualifier)
        variables: dict[str, str] = found["Environment"]["Variables"]
        return variables

    def redeploy(self, code: bytes) -> None:
        self.client.update_function_code(FunctionName=FUNCTION, ZipFile=zipped(code))

    def with_canary(self, percent: float = 20) -> TrafficSplit:
        self.answer("1", M1)
        ByHand(self.releases).release_now(M1)
        self.clock.advance(60)
        self.answer("2", M2)
        return ByHand(self.releases).release_now(M2, canary_percent=percent)[1]


def zipped(code: bytes) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("app.py", code)
    return body.getvalue()
