"""The API as its users see it: Chalice's local gateway in front, S3 behind."""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import app as chalice_project
import numpy as np
import pytest
from chalice.test import Client, HTTPResponse
from chalicelib import responder
from moto import mock_aws

from movierec import settings
from movierec.aws.session import client
from movierec.model import artifact, sealed_folder
from movierec.model.artifact import Model, Popular

FOLDER = Path(__file__).parents[2] / "chalice_app"
BUCKET = "artifacts"
OLD, NEW = "20261120T101500Z-abc-def", "20261121T101500Z-abc-def"
MOVIES = tuple(f"movie+{i}+1999" for i in range(100))

Get = Callable[[str], HTTPResponse]


def model(first: int) -> Model:
    """Return a model that recommends movies from `first` on to users 1 to 3."""
    topk = np.tile(np.arange(first, first + artifact.TOP_K, dtype=np.uint16), (3, 1))
    return Model(
        topk=topk,
        user_ids=np.array([1, 2, 3], np.int64),
        movie_ids=MOVIES,
        popular=Popular(MOVIES[:50], MOVIES[50:], {"unknown": MOVIES[50:], "F:18-24": MOVIES[:50]}),
        user_groups=np.array([0, 0, 0, 0, 1], np.uint8),
        user_factors=np.zeros((3, 2), np.float32),
        item_factors=np.zeros((100, 2), np.float32),
    )


def store(version: str, first: int) -> None:
    files = artifact.pack(model(first))
    sealed = sealed_folder.seal(files, {"groups": ["unknown", "F:18-24"]})
    for name, body in {**files, sealed_folder.MANIFEST_FILE: sealed}.items():
        client("s3").put_object(Bucket=BUCKET, Key=artifact.key(version, name), Body=body)


@pytest.fixture
def get(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Get]:
    """Yield GET of a path in a fresh execution environment whose bucket is empty."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv(settings.ARTIFACTS_BUCKET, BUCKET)
    monkeypatch.setenv(settings.CODE_VERSION, "abc123")
    with mock_aws():
        client.cache_clear()
        responder.responder.cache_clear()
        client("s3").create_bucket(Bucket=BUCKET)
        with Client(chalice_project.app, stage_name="api", project_dir=str(FOLDER)) as local:
            yield local.http.get
    responder.responder.cache_clear()
    client.cache_clear()


def test_a_user_gets_twenty_distinct_movies_on_one_line(get: Get) -> None:
    store(OLD, 10)

    answer = get("/recommend/2")

    assert answer.status_code == 200
    assert answer.body.decode().split(",") == list(MOVIES[10:30])
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Model-Version"] == OLD
    assert answer.headers["X-Function-Version"] == "$LATEST"
    assert answer.headers["X-Recommendation-Source"] == "model"


def test_every_answer_has_an_id_of_its_own(get: Get) -> None:
    store(OLD, 10)
    paths = ["/recommend/2", "/recommend/2", "/recommend/x", "/popular", "/healthz", "/version"]

    ids = {get(path).headers["X-Recommendation-Id"] for path in paths}

    assert len(ids) == len(paths)


def test_an_unknown_user_gets_the_popular_list_of_their_group(get: Get) -> None:
    store(OLD, 10)

    known_age, unknown_age = get("/recommend/4"), get("/recommend/999999")

    assert known_age.body.decode().split(",") == list(MOVIES[:20])
    assert unknown_age.body.decode().split(",") == list(MOVIES[50:70])
    assert known_age.headers["X-Recommendation-Source"] == "popular"


def test_what_else_a_record_needs_is_in_one_header(get: Get) -> None:
    store(OLD, 10)

    details = [
        json.loads(get(f"/recommend/{user}").headers["X-Recommendation-Detail"])
        for user in (2, 4, 999_999)
    ]

    assert details == [
        {"v": 1, "cold_start": True, "known_user": True},
        {"v": 1, "cold_start": False, "known_user": False, "popular_group": "F:18-24"},
        {"v": 1, "cold_start": False, "known_user": False, "popular_group": "unknown"},
    ]


def test_popular_has_the_form_of_a_recommendation(get: Get) -> None:
    store(OLD, 10)

    answer = get("/popular")

    assert answer.body.decode().split(",") == list(MOVIES[50:70])
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Model-Version"] == OLD


@pytest.mark.parametrize("user", ["/abc", "/-1", "/0", "/1.5", "/99999999999999999999", ""])
def test_what_is_no_user_id_gets_400_and_what_is_expected(get: Get, user: str) -> None:
    answer = get(f"/recommend{user}")

    assert answer.status_code == 400
    assert answer.body == b"user id: expected a positive integer, as in /recommend/12345"


def test_a_pinned_version_serves_its_model_however_old(
    get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(OLD, 10)
    store(NEW, 30)
    monkeypatch.setenv(settings.MODEL_VERSION, OLD)

    assert get("/recommend/2").headers["X-Model-Version"] == OLD


def test_without_a_pin_the_newest_model_is_served(get: Get) -> None:
    store(NEW, 30)
    store(OLD, 10)

    assert get("/recommend/2").body.decode().split(",") == list(MOVIES[30:50])


def test_without_a_model_users_get_503_until_there_is_one(get: Get) -> None:
    before = get("/recommend/2")
    store(OLD, 10)
    after = get("/recommend/2")

    assert (before.status_code, after.status_code) == (503, 200)
    assert before.body.startswith(b"no model under models/ yet: train one")
    assert get("/healthz").body == b"ok"


def test_a_damaged_model_is_never_served(get: Get) -> None:
    store(OLD, 10)
    damaged = artifact.pack(model(40))[artifact.TOPK_FILE]
    client("s3").put_object(Bucket=BUCKET, Key=artifact.key(OLD, artifact.TOPK_FILE), Body=damaged)

    answer = get("/recommend/2")

    assert answer.status_code == 503
    assert b"topk.npy" in answer.body


def test_version_tells_code_model_and_libraries(get: Get) -> None:
    store(OLD, 10)

    facts = json.loads(get("/version").body)

    assert (facts["model_version"], facts["code_version"]) == (OLD, "abc123")
    assert {"numpy", "chalice", "boto3", "aws_lambda_powertools"} <= facts["libraries"].keys()


def test_every_request_is_counted_and_its_failures_too(
    get: Get, capsys: pytest.CaptureFixture[str]
) -> None:
    get("/recommend/2")
    get("/recommend/abc")

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    records = [line for line in lines if "_aws" in line]
    assert [(r["status"], r["Error"], r["ColdStart"]) for r in records] == [
        (503, [1.0], [1.0]),
        (400, [0.0], [0.0]),
    ]
