"""The Runtime API, as a function finds it that is its own runtime.

Each function here never returns from its init: it asks for events and answers them by itself, in
the place of awslambdaric, and so sees what awslambdaric would.
"""

import base64
import json
import time
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.conftest import Emulator

CALL = """
import http.client, json, os
def call(method, path, body=None, headers={}):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request(method, "/2018-06-01/runtime/" + path, body, headers)
    answer = connection.getresponse()
    return answer.status, dict(answer.headers), answer.read()
"""

# Answers an event with the headers that came with it, or does what the event says.
RUNTIME = (
    CALL
    + """
told = late = None
while True:
    _, headers, event = call("GET", "invocation/next")
    event, path = json.loads(event), "invocation/" + headers["Lambda-Runtime-Aws-Request-Id"]
    if event.get("post"):
        method, where = event.get("method", "POST"), event["post"].replace("ID", path)
        status, _, body = call(method, where, event["body"].encode(), event.get("headers", {}))
        told = [status, json.loads(body)]
    if not event.get("final"):
        said = {"headers": headers, "told": told, "late": late}
        late = call("POST", path + "/response", json.dumps(said).encode())[:1]
"""
)


@pytest.fixture(scope="module")
def own_runtime(emulator: "Emulator") -> str:
    emulator.create("own-runtime", RUNTIME, LoggingConfig={"LogFormat": "JSON"})
    return "own-runtime"


def test_the_next_event_comes_with_all_its_headers(emulator: "Emulator", own_runtime: str) -> None:
    """Request id, deadline, invoked ARN and trace id come with every event.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    """
    before_ms = time.time() * 1000
    answer = emulator.invoke(own_runtime, {})
    headers = answer.payload["headers"]
    assert headers["Lambda-Runtime-Aws-Request-Id"] in answer.log
    arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
    assert arn == f"arn:aws:lambda:us-east-1:000000000000:function:{own_runtime}"
    assert "Root=1-" in headers["Lambda-Runtime-Trace-Id"]
    left_ms = int(headers["Lambda-Runtime-Deadline-Ms"]) - before_ms
    assert 9_000 < left_ms < 11_000
    assert headers["Content-Type"] == "application/json"
    assert "Lambda-Runtime-Client-Context" not in headers
    assert "Lambda-Runtime-Cognito-Identity" not in headers


def test_the_client_context_comes_as_its_json(emulator: "Emulator", own_runtime: str) -> None:
    """What the caller sends as X-Amz-Client-Context is the header Lambda-Runtime-Client-Context.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    """
    context = {"custom": {"k": "ü"}, "env": {"locale": "de"}}
    given = base64.b64encode(json.dumps(context).encode()).decode()
    headers = emulator.invoke(own_runtime, {}, ClientContext=given).payload["headers"]
    assert json.loads(headers["Lambda-Runtime-Client-Context"]) == context


def test_a_version_is_invoked_by_its_own_arn(emulator: "Emulator", own_runtime: str) -> None:
    """The invoked ARN is the one that the caller used, with its qualifier.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    """
    version = emulator.publish(own_runtime)
    headers = emulator.invoke(own_runtime, {}, Qualifier=version).payload["headers"]
    assert headers["Lambda-Runtime-Invoked-Function-Arn"].endswith(f":{own_runtime}:{version}")


def test_an_answer_is_taken_with_202(emulator: "Emulator", own_runtime: str) -> None:
    """A response is answered 202 with the status OK, and what was posted is the caller's answer.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    """
    said = {"post": "ID/response", "body": '{"as": "posted"}', "final": True}
    assert emulator.invoke(own_runtime, said).payload == {"as": "posted"}
    assert emulator.invoke(own_runtime, {}).payload["told"] == [202, {"status": "OK"}]


def test_an_error_is_taken_and_its_type_kept(emulator: "Emulator", own_runtime: str) -> None:
    """An error is answered 202; its body is the answer, its type header the report's errorType.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    """
    error = {"errorType": "Refused", "errorMessage": "not today", "stackTrace": []}
    said = {
        "post": "ID/error",
        "body": json.dumps(error),
        "headers": {"Lambda-Runtime-Function-Error-Type": "Function.Refused"},
        "final": True,
    }
    answer = emulator.invoke(own_runtime, said)
    assert (answer.error, answer.payload) == ("Unhandled", error)
    report = json.loads(answer.log.splitlines()[-1])["record"]
    assert (report["status"], report["errorType"]) == ("error", "Function.Refused")
    assert emulator.invoke(own_runtime, {}).payload["told"] == [202, {"status": "OK"}]


@pytest.mark.parametrize("path", ["invocation/another/response", "invocation/another/error"])
def test_an_answer_to_another_request_is_refused(
    emulator: "Emulator", own_runtime: str, path: str
) -> None:
    """400 with an ErrorResponse, and the invocation in progress goes on.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    """
    status, body = emulator.invoke(own_runtime, {"post": path, "body": "{}"}).payload["told"]
    assert (status, body["errorType"]) == (400, "InvalidRequestID")
    assert body["errorMessage"]


@pytest.mark.parametrize("path", ["init/error", "invocation/next"])
def test_what_has_not_its_turn_is_forbidden(
    emulator: "Emulator", own_runtime: str, path: str
) -> None:
    """403 for an init error after the init, and for a next before the last event's answer.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    """
    asked = {"post": path, "body": "{}", "method": "GET" if "next" in path else "POST"}
    status, body = emulator.invoke(own_runtime, asked).payload["told"]
    assert (status, body["errorType"]) == (403, "InvalidStateTransition")


def test_an_event_is_answered_once(emulator: "Emulator", own_runtime: str) -> None:
    """A second answer to the same event is forbidden (403) and changes nothing.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    """
    twice = {"post": "ID/response", "body": "1"}
    assert emulator.invoke(own_runtime, twice).payload == 1
    told = emulator.invoke(own_runtime, {}).payload["late"]
    assert told[0] in (400, 403)


def test_a_path_that_is_none_is_refused(emulator: "Emulator", own_runtime: str) -> None:
    """Next, response, error and init/error are all the paths that there are.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    """
    told = emulator.invoke(own_runtime, {"post": "ID/other", "body": "{}"}).payload["told"]
    assert told[0] == 404


def test_an_init_error_is_taken_and_its_type_kept(emulator: "Emulator") -> None:
    """The type of an init error is in INIT_REPORT, and its body is the caller's answer.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    """
    header = "{'Lambda-Runtime-Function-Error-Type': 'Runtime.NoConfig'}"
    body = '{"errorType": "NoConfig", "errorMessage": "none found"}'
    code = f"{CALL}call('POST', 'init/error', b'{body}', {header})\nos._exit(1)\n"
    emulator.create("own-init", code)
    answer = emulator.invoke("own-init")
    assert answer.payload == json.loads(body)
    assert answer.log.count("Error Type: Runtime.NoConfig") == 3


def test_a_streamed_answer_is_refused_with_the_reason(
    emulator: "Emulator", own_runtime: str
) -> None:
    """Response streaming is documented and not to be had here: 400, and an error that says so.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html
    """
    said = {
        "post": "ID/response",
        "body": "{}",
        "headers": {"Lambda-Runtime-Function-Response-Mode": "streaming"},
        "final": True,
    }
    answer = emulator.invoke(own_runtime, said)
    assert answer.payload["errorType"] == "Runtime.StreamingNotSupported"
    assert "response streaming" in answer.payload["errorMessage"]


def test_streaming_invocations_are_refused_by_name(emulator: "Emulator", own_runtime: str) -> None:
    """InvokeWithResponseStream is documented and not to be had here: it is refused by its name.

    https://docs.aws.amazon.com/lambda/latest/api/API_InvokeWithResponseStream.html
    """
    with pytest.raises(ClientError, match="InvokeWithResponseStream"):
        emulator.client("lambda").invoke_with_response_stream(FunctionName=own_runtime)


def test_the_unchanged_awslambdaric_serves(emulator: "Emulator") -> None:
    """The context object has what the headers said.

    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
    """
    code = (
        "import awslambdaric, importlib.metadata\ndef handler(e, c):\n"
        "    return [e, c.aws_request_id, c.invoked_function_arn, c.function_name, "
        "c.function_version, c.memory_limit_in_mb, "
        "c.log_group_name, c.get_remaining_time_in_millis(), c.client_context.custom, "
        "[awslambdaric.__file__, importlib.metadata.version('awslambdaric')]]\n"
    )
    emulator.create("ric", code)
    context = base64.b64encode(b'{"custom": {"k": "v"}}').decode()
    answer = emulator.invoke("ric", {"n": ["ü"]}, ClientContext=context)
    event, request_id, arn, name, version, memory, group, left_ms, custom, ric = answer.payload
    assert event == {"n": ["ü"]}
    assert f"START RequestId: {request_id} Version: $LATEST" in answer.log
    assert arn.endswith(":function:ric")
    assert (name, version, int(memory)) == ("ric", "$LATEST", 256)
    assert group == "/aws/lambda/ric"
    assert 5_000 < left_ms <= 10_000
    assert custom == {"k": "v"}
    assert ric[0].endswith("/awslambdaric/__init__.py")
    assert int(ric[1].partition(".")[0]) >= 4
