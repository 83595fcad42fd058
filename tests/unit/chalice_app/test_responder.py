"""Whatever happens behind the edge, a user gets one line and CloudWatch one record."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from chalicelib import responder
from chalicelib.responder import Responder
from chalicelib.service import Answer, OpenModel, Service
from chalicelib.telemetry import Request, Telemetry

from movierec import metrics, settings
from movierec.errors import ArtifactError, ObjectNotFoundError, UsageError

REQUEST = Request("id-1", "gateway-1", "/recommend/{user_id}")
LISTED = Answer(200, "a,b", user_id=7, source="model", model_version="m1")
_names = count()


def no_model() -> OpenModel:
    raise ObjectNotFoundError("none")


class Bench:
    """An edge whose clock is set by hand, and what it logged."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.log = io.StringIO()
        telemetry = Telemetry(
            function_version="12",
            slow_ms=300,
            # Powertools keeps one handler a name: a new name, a new stream.
            logger=Logger(service=f"test-{next(_names)}", stream=self.log),
        )
        self.responder = Responder(Service(no_model, "12", "abc"), telemetry, lambda: self.now_s)

    def answering(self, answer: Answer, after_ms: float = 1) -> Callable[[Service], Answer]:
        def view(_: Service) -> Answer:
            self.now_s += after_ms / 1000
            return answer

        return view

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def records(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def emitted_dimensions(record: dict[str, Any]) -> list[dict[str, str]]:
    (directive,) = record["_aws"]["CloudWatchMetrics"]
    return [{name: record[name] for name in names} for names in directive["Dimensions"]]


def failing(error: Exception) -> Callable[[Service], Answer]:
    def view(_: Service) -> Answer:
        raise error

    return view


def test_an_answer_carries_what_it_takes_to_trace_it(bench: Bench) -> None:
    response = bench.responder.respond(REQUEST, bench.answering(LISTED))

    assert (response.status_code, response.body) == (200, "a,b")
    assert response.headers == {
        "Content-Type": "text/plain; charset=utf-8",
        "X-Function-Version": "12",
        "X-Model-Version": "m1",
        "X-Recommendation-Id": "id-1",
        "X-Recommendation-Source": "model",
    }


ERRORS = [
    (UsageError("user id: expected a positive integer"), 400),
    (ObjectNotFoundError("no model\nyet"), 503),
    (ArtifactError("topk.npy is damaged"), 503),
    (ZeroDivisionError("secret detail"), 500),
]


@pytest.mark.parametrize(("error", "status"), ERRORS)
def test_an_error_is_one_line_of_text_without_a_traceback(
    bench: Bench, error: Exception, status: int
) -> None:
    response = bench.responder.respond(REQUEST, failing(error))

    assert response.status_code == status
    assert len(response.body.splitlines()) == 1
    assert "Traceback" not in response.body
    assert "secret" not in response.body
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["X-Recommendation-Id"] == "id-1"


@pytest.mark.parametrize("error", [error for error, status in ERRORS if status >= 500])
def test_a_failure_of_ours_is_logged_with_its_traceback(bench: Bench, error: Exception) -> None:
    bench.responder.respond(REQUEST, failing(error))

    (line,) = bench.logged()
    assert line["level"] == "ERROR"
    assert line["correlation_id"] == "gateway-1"
    assert type(error).__name__ in line["exception"]
    assert "Traceback" in line["exception"]


def test_a_users_mistake_is_not_logged_as_a_failure(bench: Bench) -> None:
    bench.responder.respond(REQUEST, failing(UsageError("no")))

    assert bench.logged() == []


def test_every_request_emits_every_live_metric_once(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.responder.respond(REQUEST, bench.answering(LISTED, after_ms=12.5))

    (record,) = records(capsys)
    (directive,) = record["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == metrics.NAMESPACE
    assert emitted_dimensions(record) == list(metrics.live_dimensions("12"))
    assert {(m["Name"], m["Unit"]) for m in directive["Metrics"]} == {
        (m.name, m.unit) for m in metrics.LIVE_METRICS
    }
    assert record["Requests"] == [1.0]
    assert record["LatencyMs"] == [12.5]


def test_a_record_tells_who_asked_and_which_model_answered(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.responder.respond(REQUEST, bench.answering(LISTED))

    (record,) = records(capsys)
    assert (record["user_id"], record["model_version"]) == (7, "m1")
    assert (record["recommendation_id"], record["status"]) == ("id-1", 200)


@pytest.mark.parametrize(("error", "status"), ERRORS)
def test_only_failures_of_ours_count_as_errors(
    bench: Bench, capsys: pytest.CaptureFixture[str], error: Exception, status: int
) -> None:
    bench.responder.respond(REQUEST, failing(error))

    (record,) = records(capsys)
    assert record["Requests"] == [1.0]
    assert record["Error"] == [float(status >= 500)]


@pytest.mark.parametrize(("latency_ms", "slow"), [(299.0, 0.0), (301.0, 1.0)])
def test_an_answer_over_the_threshold_is_slow(
    bench: Bench, capsys: pytest.CaptureFixture[str], latency_ms: float, slow: float
) -> None:
    bench.responder.respond(REQUEST, bench.answering(LISTED))
    bench.responder.respond(REQUEST, bench.answering(LISTED, latency_ms))

    assert records(capsys)[1]["Slow"] == [slow]


def test_a_cold_start_is_not_slow_however_long_it_takes(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every canary begins with cold starts; its alarm is not to go off for them."""
    bench.responder.respond(REQUEST, bench.answering(LISTED, after_ms=900))

    (record,) = records(capsys)
    assert (record["ColdStart"], record["Slow"], record["LatencyMs"]) == ([1.0], [0.0], [900.0])


@pytest.mark.parametrize(
    ("answer", "fallback"),
    [
        (LISTED, 0.0),
        (Answer(200, "a", user_id=7, source="popular"), 1.0),
        (Answer(200, "a", user_id=None, source="popular"), 0.0),
    ],
)
def test_a_fallback_is_a_user_whom_the_model_does_not_know(
    bench: Bench, capsys: pytest.CaptureFixture[str], answer: Answer, fallback: float
) -> None:
    bench.responder.respond(REQUEST, bench.answering(answer))

    assert records(capsys)[0]["Fallback"] == [fallback]


def test_only_the_first_request_of_an_environment_is_a_cold_start(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        bench.responder.respond(REQUEST, bench.answering(LISTED))

    assert [record["ColdStart"] for record in records(capsys)] == [[1.0], [0.0], [0.0]]


def test_a_service_name_of_powertools_adds_no_dimension(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An alarm names one dimension alone, and would see nothing of a metric with two."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "movierec")
    bench = Bench()

    bench.responder.respond(REQUEST, bench.answering(LISTED))

    (record,) = records(capsys)
    assert emitted_dimensions(record) == [{"FunctionVersion": "12"}, {"service": "movierec-api"}]


def test_the_dimensions_are_the_same_at_every_request(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Powertools forgets them at each flush."""
    for _ in range(3):
        bench.responder.respond(REQUEST, bench.answering(LISTED))

    expected = list(metrics.live_dimensions("12"))
    assert [emitted_dimensions(record) for record in records(capsys)] == [expected] * 3


def test_an_edge_from_an_empty_environment_answers_503_and_says_what_to_set() -> None:
    response = responder.from_env({}).respond(REQUEST, Service.health)

    assert response.status_code == 503
    assert settings.ARTIFACTS_BUCKET in response.body


@pytest.mark.parametrize("text", ["soon", "nan", "inf", "-1", "0"])
def test_a_threshold_that_is_none_is_named_answered_503_and_counted(
    capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """Chalice's own 500 would reach users without a metric: no alarm would go off."""
    response = responder.from_env({settings.SLOW_MS: text}).respond(REQUEST, Service.popular)

    assert response.status_code == 503
    assert f"MOVIEREC_SLOW_MS={text}" in response.body
    assert [r["Error"] for r in records(capsys) if "_aws" in r] == [[1.0]]


def sent_detail(bench: Bench, detail: dict[str, object] | None) -> Any:
    answer = replace(LISTED, detail=detail)
    return bench.responder.respond(REQUEST, bench.answering(answer)).headers.get(
        "X-Recommendation-Detail"
    )


def test_a_detail_is_sent_as_compact_json_with_the_cold_start(bench: Bench) -> None:
    sent = [sent_detail(bench, {"known_user": True}) for _ in range(2)]

    assert sent == [
        '{"v":1,"cold_start":true,"known_user":true}',
        '{"v":1,"cold_start":false,"known_user":true}',
    ]


@pytest.mark.parametrize("value", ["x" * 5_000, float("nan"), {1, 2}])
def test_a_detail_that_cannot_be_sent_is_logged_and_costs_no_answer(
    bench: Bench, value: object
) -> None:
    answer = replace(LISTED, detail={"x": value})

    response = bench.responder.respond(REQUEST, bench.answering(answer))

    assert (response.status_code, response.body) == (200, "a,b")
    assert "X-Recommendation-Detail" not in response.headers
    assert [line["message"] for line in bench.logged()] == ["detail_dropped"]
