"""`movierec dataset rebuild`: calls the function, shows what it found, and exits by it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from movierec import settings
from tests.contract.test_cli import closed_port, environment_as_before, movierec, project, up

__all__ = ["closed_port", "environment_as_before", "movierec", "project", "up"]


def check(name, found="a", note=""):
    return {
        "name": name,
        "expected": "a",
        "found": found,
        "gone": False,
        "note": note,
        "ok": found == "a",
    }


def answer(*checks, gone=""):
    same = not gone and all(one["ok"] for one in checks)
    return {"dataset_id": "d1", "rebuilt_id": "d1", "same": same, "gone": gone, "checks": checks}


@pytest.fixture
def function(up, monkeypatch):
    """Return a list for the function's answers: (body, name of the error's header or none)."""
    answers: list[Any] = []
    asked: list[Any] = []

    class Lambda(BaseHTTPRequestHandler):
        def do_POST(self):
            size = int(self.headers["Content-Length"])
            asked.append((self.path, json.loads(self.rfile.read(size))))
            body, *error = answers.pop(0)
            status = 404 if error == ["missing"] else 200
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            if error == ["missing"]:
                self.send_header("x-amzn-ErrorType", "ResourceNotFoundException")
            elif error:
                self.send_header("X-Amz-Function-Error", "Unhandled")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Lambda)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv(settings.LAKE_BUCKET, "lake")
    monkeypatch.setenv(settings.BUILD_FUNCTION, "movierec-build-dataset")
    yield answers, asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_data_set_that_is_the_same_exits_with_0(function, movierec):
    answers, asked = function
    answers.append((answer(check("data set movies.npy"), check("code", note="other code")),))
    code, out, _ = movierec("dataset", "rebuild", "d1")
    assert code == 0
    assert "✓ data set movies.npy" in out
    assert "code: other code" in out
    ((path, event),) = asked
    assert path.endswith("/functions/movierec-build-dataset/invocations")
    assert event == {"rebuild": "d1"}


def test_what_differs_is_named_and_exits_with_1(function, movierec):
    function[0].append((answer(check("lake rows, watch", "b"), check("builder", note="format 1")),))
    code, out, err = movierec("dataset", "rebuild", "d1")
    assert code == 1
    assert "lake rows, watch: a; now b" in out
    assert "not the same when built again: lake rows, watch (format 1)" in err


def test_what_the_lake_no_longer_holds_exits_with_1(function, movierec):
    function[0].append((answer(gone="version 3 of events was vacuumed"),))
    code, _, err = movierec("dataset", "rebuild", "d1")
    assert code == 1
    assert "cannot be built any more: version 3 of events was vacuumed" in err


def test_json_is_the_functions_answer(function, movierec):
    given = answer(check("data set movies.npy"))
    function[0].append((given,))
    code, out, _ = movierec("dataset", "rebuild", "d1", "--json")
    assert code == 0
    assert json.loads(out) == {**given, "checks": list(given["checks"])}


def test_an_unknown_data_set_is_the_callers_error(function, movierec):
    function[0].append(({"errorType": "UsageError", "errorMessage": "no data set 'x'"}, "error"))
    code, _, err = movierec("dataset", "rebuild", "x")
    assert code == 2
    assert "no data set 'x'" in err


def test_a_failure_of_the_function_is_shown(function, movierec):
    function[0].append(({"errorType": "DatasetError", "errorMessage": "too few users"}, "error"))
    code, _, err = movierec("dataset", "rebuild", "x")
    assert code == 1
    assert "too few users" in err


def test_a_function_that_is_not_there_is_a_setting_to_check(function, movierec):
    function[0].append(({"Message": "Function not found"}, "missing"))
    code, _, err = movierec("dataset", "rebuild", "x")
    assert code == 2
    assert settings.BUILD_FUNCTION in err
