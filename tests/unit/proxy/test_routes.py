import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.model.user_id import LARGEST_USER_ID
from proxy.routes import MAX_TARGET_BYTES, ErrorResponse, Page, Recommend, route


@pytest.mark.parametrize(
    ("target", "user_id"),
    [
        ("/recommend/1", 1),
        ("/recommend/42", 42),
        (f"/recommend/{LARGEST_USER_ID}", LARGEST_USER_ID),
        ("/recommend/42?from=monitoring", 42),
    ],
)
def test_a_positive_integer_is_a_user(target, user_id):
    assert route("GET", target) == Recommend(user_id)


@pytest.mark.parametrize(
    "user_id",
    [
        "",
        "abc",
        "-1",
        "0",
        "007",
        "+1",
        "1.0",
        "1_0",
        " 1",
        "%31",
        "1/",
        "1/2",
        "\u0661",
        "\u00b2",
        str(LARGEST_USER_ID + 1),
        "99999999999999999999",
    ],
)
def test_anything_else_as_a_user_id_is_a_400_that_says_what_is_expected(user_id):
    answer = route("GET", f"/recommend/{user_id}")
    assert isinstance(answer, ErrorResponse)
    assert answer.status == 400
    assert "whole number from 1 to" in answer.line


@pytest.mark.parametrize("page", list(Page))
def test_the_own_pages_are_found(page):
    assert route("GET", page.value) is page


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/recommendations/1", 404),
        ("GET", "/healthz/", 404),
        ("GET", "/recommend", 400),
        ("POST", "/recommend/1", 405),
        ("POST", "/recommend/abc", 405),
        ("DELETE", "/metrics", 405),
        ("POST", "/nowhere", 404),
        ("GET", "/recommend/" + "1" * 10_000, 414),
        ("GET", "/recommend/1?" + "x" * MAX_TARGET_BYTES, 414),
    ],
)
def test_a_refusal_has_the_status_of_its_reason(method, target, status):
    answer = route(method, target)
    assert isinstance(answer, ErrorResponse)
    assert answer.status == status


@given(st.sampled_from(["GET", "POST", "HEAD", "get", ""]), st.text(max_size=60))
def test_every_request_line_has_a_route_or_a_one_line_refusal(method, target):
    answer = route(method, target)
    if isinstance(answer, ErrorResponse):
        assert answer.line.isprintable()
        assert 400 <= answer.status < 500
