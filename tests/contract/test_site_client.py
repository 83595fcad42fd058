"""The client of the site's API against a real server that fails as real sites do."""

import json
import math
import socket
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from movierec.errors import UnavailableError, UsageError
from movierec.lake.schema import as_rows
from movierec.runtime.clock import SystemClock
from movierec.site.api_client import SiteClient
from movierec.site.request_plan import Patience
from tests.contract import site_stub

QUICK = Patience(first_wait_s=0.01, longest_wait_s=0.05)
FILMS = [f"film+{i}+2001" for i in range(500)]


@pytest.fixture
def site():
    with site_stub.serving(site_stub.Site(FILMS, range(1, 501))) as found:
        yield found


def client(site, **options):
    return SiteClient(site.url, SystemClock(), **{"patience": QUICK} | options)


def fetch(site, *, movies=(), users=(), within_s=60, **options):
    return client(site, **options).fetch(movies=movies, users=users, within_s=within_s)


def names(batches, column="movie_id"):
    return sorted(row[column] for batch in batches for row in as_rows(batch))


def everything(site, **options):
    """Ask for every film and return the client's answer, which has them all."""
    found = fetch(site, movies=FILMS, **options)
    assert (names(found.movies), found.unknown_movies, found.failure) == (
        sorted(FILMS),
        frozenset(),
        "",
    )
    return found


def test_movies_and_users_are_fetched_200_at_a_time(site):
    found = fetch(site, movies=FILMS[:400], users=range(1, 201))
    assert names(found.movies) == sorted(FILMS[:400])
    assert names(found.users, "user_id") == list(range(1, 201))
    assert sorted(len(ids) for _, ids in site.requests) == [200, 200, 200]


def test_incomplete_movies_and_users_are_taken_with_what_they_have(site):
    found = fetch(site, movies=FILMS[:1], users=[7])
    ((movie,), (user,)) = as_rows(found.movies[0]), as_rows(found.users[0])
    assert (movie["runtime_minutes"], movie["adult"], movie["genres"]) == (0, -1, ["Drama"])
    assert (movie["release_date"], movie["cost_usd"]) == ("1954", 0.25)
    assert json.loads(movie["other"]) == {"tagline": "x"}
    assert (user["age"], user["gender"], user["occupation"]) == (-1, "F", None)
    assert user["self_description_likes"] == "slow films"


def test_an_unknown_id_in_a_bulk_that_is_answered_in_plain_text_costs_the_others_nothing(site):
    found = fetch(site, movies=[*FILMS[:99], "typo+2001", *FILMS[99:199]], users=[7, 99_999])
    assert names(found.movies) == sorted(FILMS[:199])
    assert (found.unknown_movies, found.unknown_users) == ({"typo+2001"}, {99_999})


def test_a_site_that_takes_one_id_at_a_time_is_asked_so(site):
    site.fault = lambda ids, _: (500, b"int() of 1,2", {}) if len(ids) > 1 else None
    asking = client(site)
    assert names(asking.fetch(movies=FILMS, users=(), within_s=60).movies) == sorted(FILMS)
    before = len(site.requests)
    asking.fetch(movies=FILMS[:50], users=(), within_s=60)
    assert [len(ids) for _, ids in site.requests[before:]] == [1] * 50


def in_a_second():
    return format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)


@pytest.mark.parametrize("after", [lambda: "1", in_a_second, lambda: "", lambda: "soon"])
def test_a_site_that_limits_its_rate_is_asked_again_later(site, after):
    def fault(_ids, number):
        headers = {"Retry-After": after()} if after() else {}
        return (429, b"slow down", headers) if number in (2, 3, 5) else None

    site.fault = fault
    everything(site)


FAULTS = {
    "500": (500, b"oops", {}),
    "502 in HTML": (502, b"<html>bad gateway</html>", {"Content-Type": "text/html"}),
    "plain text": (200, b"rate limited, sorry", {"Content-Type": "text/plain"}),
    "no text": (200, b"\xff\xfe\x00", {}),
    "cut": site_stub.cut,
    "nothing": site_stub.hang_up,
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_passes_loses_nothing(site, name):
    site.fault = lambda _ids, number: FAULTS[name] if number % 3 == 2 else None
    everything(site)


def test_a_site_that_dribbles_is_cut_off_and_asked_for_less(site):
    """Each packet comes in time, the whole never would."""
    over = threading.Event()

    def dribble(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        try:
            while not over.wait(0.01):
                handler.wfile.write(b" ")
        except OSError:
            return

    site.fault = lambda ids, _: dribble if len(ids) > 100 else None
    everything(site, timeout_s=0.3)
    over.set()


def test_at_the_deadline_there_is_what_was_answered(site):
    over = threading.Event()
    site.fault = lambda ids, _: (lambda _: over.wait()) if FILMS[-1] in ids else None
    found = fetch(site, movies=FILMS, within_s=3)
    over.set()
    assert (len(names(found.movies)), found.unknown_movies, found.failure) == (400, frozenset(), "")


def test_a_site_that_asks_to_wait_past_the_deadline_is_not_waited_for(site):
    site.fault = lambda ids, _: (429, b"", {"Retry-After": "600"}) if FILMS[-1] in ids else None
    asking = client(site)
    assert len(names(asking.fetch(movies=FILMS, users=(), within_s=300).movies)) == 400
    asked = len(site.requests)
    assert asking.fetch(movies=FILMS[400:], users=[1], within_s=300).movies == ()
    assert len(site.requests) == asked


def test_a_site_that_is_given_up_leaves_what_was_answered_and_the_reason(site):
    site.fault = lambda ids, _: (403, b"", {}) if FILMS[-1] in ids else None
    found = fetch(site, movies=FILMS)
    assert set(FILMS[:200]) <= set(names(found.movies))
    assert found.failure == f"{site.url}: the site answered 403; is it open?"


def test_where_nothing_listens_the_site_is_given_up_at_once():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        asking = SiteClient(f"http://127.0.0.1:{server.getsockname()[1]}", SystemClock())
        with pytest.raises(UnavailableError, match="no answer"):
            list(asking.answers("movie", FILMS))
        assert "is the site up?" in asking.fetch(movies=FILMS, users=(), within_s=9).failure


@pytest.mark.parametrize("url", ["http://[/x", "nonsense", "http://a b/"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(UsageError, match="name a URL"):
        list(SiteClient(url, SystemClock()).answers("movie", FILMS, within_s=math.inf))
