import pytest

from simulator.response_validation import Response, validate

KNOWN = {"alien+1979", "aliens+1986"}
HEADERS = {"X-Model-Version": "m1", "X-Recommendation-Source": "model"}


def test_a_good_answer_is_taken_as_it_comes_duplicates_and_all():
    answer = validate(200, b"alien+1979,aliens+1986, alien+1979\n", HEADERS, KNOWN)
    assert answer == Response(
        ("alien+1979", "aliens+1986", "alien+1979"), None, None, "m1", "model"
    )
    assert answer.status == 200
    assert answer.result == "alien+1979, aliens+1986, alien+1979"


def test_an_answer_without_headers_is_of_an_unknown_model():
    answer = validate(200, b"alien+1979", {}, KNOWN)
    assert (answer.model, answer.source) == ("unknown", "unknown")


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (502, b"", "Unexpected response status: 502"),
        (404, b"alien+1979", "Unexpected response status: 404"),
        (200, b"", "invalid recommendation format (empty)"),
        (200, b" \n", "invalid recommendation format (empty)"),
        (200, b"\xff\xfe", "invalid recommendation format (no text)"),
        (200, b",".join([b"alien+1979"] * 21), "invalid recommendation format (21 movies)"),
        (200, b"alien+1979,8238", "movie 8238 not found"),
        (200, b"alien+1979,", "movie  not found"),
        (200, b"[alien+1979]", "movie [alien+1979] not found"),
        (200, b"<html>\n" + b"x" * 500, "movie <html> " + "x" * 73 + " not found"),
    ],
)
def test_anything_else_is_an_error_in_the_sites_words(status, body, error):
    answer = validate(status, body, HEADERS, KNOWN)
    assert (answer.status, answer.result) == (0, error)
    assert answer.movie_ids == ()
    assert answer.error_kind


def test_twenty_movies_are_allowed():
    assert validate(200, b",".join([b"alien+1979"] * 20), HEADERS, KNOWN).error is None
