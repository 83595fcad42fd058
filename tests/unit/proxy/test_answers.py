from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.answers import Answer, UpstreamError, parse_answer, parse_movie_ids

HEADERS = {
    "X-Recommendation-Id": "r1",
    "X-Recommendation-Source": "popular",
    "X-Model-Version": "m1",
    "X-Function-Version": "7",
}


def parsed(headers, body=b"a+1999,b+2000"):
    return parse_answer(headers, body, new_id=lambda: "new")


def test_an_answer_keeps_where_it_comes_from():
    assert parsed(HEADERS) == Answer(("a+1999", "b+2000"), "r1", "popular", "m1", "7")


def test_an_answer_is_passed_on_as_it_came():
    assert parsed(HEADERS).body() == b"a+1999,b+2000"
    assert parsed(HEADERS).headers() == HEADERS


def test_missing_headers_cost_the_attribution_and_not_the_movies():
    assert parsed({}) == Answer(("a+1999", "b+2000"), "new", "model", "unknown", "unknown")


@pytest.mark.parametrize(
    "body",
    [
        b"the+matrix+1999",
        b"61*+2001,20_000+leagues+under+the+sea+1997,l.a.+confidential+1997,fail-safe+1964",
        "am\u00e9lie+2001,b".encode(),
        b",".join(b"m%d" % i for i in range(20)),
        b"a,b\n",
    ],
)
def test_lists_of_the_site_s_movies_are_accepted(body):
    assert ",".join(parse_movie_ids(body)).encode() == body.removesuffix(b"\n")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b",",
        b"a,",
        b"a,,b",
        b"a b",
        b"a, b",
        b"a\nb",
        b"a,b\n\n",
        b"a,a",
        b"\x00a",
        b"\xff\xfe",
        b'{"message":"Forbidden"}',
        b"<html>gateway</html>",
        b",".join(b"m%d" % i for i in range(21)),
        b"x" * 20_000,
    ],
)
def test_any_other_body_is_malformed(body):
    with pytest.raises(UpstreamError) as caught:
        parse_movie_ids(body)
    assert caught.value.reason == "malformed"


@given(st.binary(max_size=200))
def test_a_body_is_a_list_of_movies_or_malformed_and_nothing_else(body):
    with suppress(UpstreamError):
        movie_ids = parse_movie_ids(body)
        assert 1 <= len(set(movie_ids)) == len(movie_ids) <= 20


def test_a_detail_is_kept_for_the_record_and_not_passed_on():
    answer = parsed(HEADERS | {"X-Recommendation-Detail": '{"v":1}'})
    assert answer.detail == '{"v":1}'
    assert answer.headers() == HEADERS
