"""The plan against a site in memory, on a clock of its own."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movierec.errors import UnavailableError
from movierec.lake.schema import as_rows
from movierec.site.reply_format import Reply
from movierec.site.request_plan import LARGEST_BULK, Patience, RequestPlan, SiteState, path_segment

NOW = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
NOT_FOUND = Reply(404, b"Not Found")


def film(movie_id):
    return {"id": movie_id, "runtime": 90}


class Site:
    """Knows some films; `before` may answer instead, given the ids of a request."""

    def __init__(self, known, *, bulk=True, lenient=False, before=lambda _ids: None):
        self.known = set(known)
        self.bulk, self.lenient, self.before = bulk, lenient, before
        self.requests = []
        self.times_s = []

    def reply(self, ids, now_s):
        self.requests.append(ids)
        self.times_s.append(now_s)
        if instead := self.before(ids):
            return instead
        if len(ids) > (LARGEST_BULK if self.bulk else 1):
            return Reply(400, b"too many")
        found = [film(one) for one in ids if one in self.known]
        if len(found) < len(ids) and not (self.lenient and len(ids) > 1):
            return NOT_FOUND
        return Reply(200, json.dumps(found if len(ids) > 1 else found[0]).encode())


class Run:
    """Carries a plan out, one request after another; time passes only while the plan waits."""

    def __init__(self, site, ids, state=None):
        self.state = state or SiteState("http://site", lambda: 0.0, Patience())
        self.now_s = 0.0
        self.known: list[str] = []
        self.unknown: list[str] = []
        self.failed: list[str] = []
        plan = RequestPlan("movie", ids, self.state, self.now_s)
        while not plan.finished:
            self.now_s += plan.wait_s(self.now_s)
            group = plan.next(self.now_s)
            assert group is not None
            assert group.ids
            found = plan.settle(group, site.reply(group.ids, self.now_s), self.now_s, NOW)
            if found:
                self.known += [row["movie_id"] for row in as_rows(found.rows)]
                self.unknown += found.unknown
                self.failed += found.failed


def ids(count, prefix="film"):
    return [f"{prefix}+{i}" for i in range(count)]


def test_200_ids_are_one_request():
    site = Site(ids(400))
    assert Run(site, ids(400)).known == ids(400)
    assert [len(request) for request in site.requests] == [200, 200]


@pytest.mark.parametrize("lenient", [True, False])
def test_one_unknown_id_costs_the_other_199_nothing(lenient):
    wanted = [*ids(99), "typo", *ids(199)[99:]]
    site = Site(ids(199), lenient=lenient)
    run = Run(site, wanted)
    assert sorted(run.known) == sorted(ids(199))
    assert run.unknown == ["typo"]
    assert len(site.requests) <= (1 if lenient else 17)


def test_many_unknown_ids_cost_little_more_than_a_request_each():
    wanted = [one for pair in zip(ids(500), ids(500, "typo"), strict=True) for one in pair]
    site = Site(ids(500))
    run = Run(site, wanted)
    assert (sorted(run.known), sorted(run.unknown)) == (sorted(ids(500)), sorted(ids(500, "typo")))
    assert len(site.requests) < 2 * len(wanted)


@pytest.mark.parametrize(
    "refusal",
    [None, Reply(404, b"Not Found"), Reply(200, b'{"message":"movie not found"}'), Reply(500)],
)
def test_a_site_that_takes_one_id_at_a_time_is_noticed_once(refusal):
    site = Site(ids(300), bulk=False, before=lambda ids: refusal if len(ids) > 1 else None)
    run = Run(site, ids(300))
    assert sorted(run.known) == sorted(ids(300))
    assert len([request for request in site.requests if len(request) > 1]) < 30
    before = len(site.requests)
    Run(site, ids(300), run.state)
    assert [len(request) for request in site.requests[before:]] == [1] * 300


def test_an_address_stays_short_however_long_the_ids_are():
    long = [f"{'%' * 300}+{i}" for i in range(100)]
    site = Site(long)
    assert Run(site, long).known == long
    lengths = [len(",".join(map(path_segment, request))) for request in site.requests]
    assert max(lengths) <= 6000
    assert path_segment("a+b%/?#") == "a+b%25%2F%3F%23"


def test_after_429_nothing_is_asked_until_the_time_that_the_site_names():
    replies = [None, Reply(429, b"", "120")]
    site = Site(ids(800), before=lambda _: replies.pop(0) if replies else None)
    assert sorted(Run(site, ids(800)).known) == sorted(ids(800))
    assert site.times_s == [0, 0, 120, 120, 120]


def test_without_a_time_the_wait_doubles_and_ends_with_the_first_answer():
    replies = [Reply(429)] * 4
    site = Site(ids(10), before=lambda _: replies.pop() if replies else None)
    run = Run(site, ids(10))
    assert site.times_s == [0, 0.25, 0.75, 1.75, 3.75]
    assert run.state.busy_streak == 0


def test_a_site_that_is_busy_for_ever_is_given_up():
    with pytest.raises(UnavailableError, match="asks to wait"):
        Run(Site(ids(10), before=lambda _: Reply(429)), ids(10))
    with pytest.raises(UnavailableError, match="asks to wait 3600 s"):
        Run(Site(ids(10), before=lambda _: Reply(429, b"", "3600")), ids(10))


def test_busy_halves_the_requests_at_once_and_answers_add_to_them():
    state = SiteState("http://site", lambda: 0.0, Patience())
    Run(Site(ids(10_000)), ids(10_000), state)
    wide = state.width
    assert wide > 8
    plan = RequestPlan("movie", ids(400), state, 0.0)
    assert plan.width == 4
    group = plan.next(0.0)
    assert group is not None
    plan.settle(group, Reply(429, b"", "1"), 0.0, NOW)
    assert state.width == wide / 2


@pytest.mark.parametrize(
    "fault",
    [
        Reply(500, b"oops"),
        Reply(0, failure="no whole answer (reset)"),
        Reply(0, failure="no answer in time", cause="timeout"),
    ],
)
def test_a_fault_that_passes_costs_nothing(fault):
    faults = [fault, fault]
    site = Site(ids(300), before=lambda _: faults.pop() if faults else None)
    run = Run(site, ids(300))
    assert (sorted(run.known), run.unknown, run.failed) == (sorted(ids(300)), [], [])


def test_an_id_that_the_site_cannot_answer_for_is_named_and_not_unknown():
    site = Site(ids(200), before=lambda ids: Reply(500) if "film+77" in ids else None)
    run = Run(site, ids(200))
    assert (run.failed, run.unknown) == (["film+77"], [])
    assert sorted([*run.known, "film+77"]) == sorted(ids(200))


def test_many_that_take_too_long_are_asked_by_fewer():
    slow = Reply(0, failure="no answer in time", cause="timeout")
    site = Site(ids(200), before=lambda ids: slow if len(ids) > 50 else None)
    assert sorted(Run(site, ids(200)).known) == sorted(ids(200))


def test_a_site_that_never_answered_is_given_up_at_once():
    refused = Reply(0, failure="no answer (refused)", cause="refused")
    site = Site((), before=lambda _: refused)
    with pytest.raises(UnavailableError, match="is the site up"):
        Run(site, ids(10))
    assert len(site.requests) == 1


@pytest.mark.parametrize("status", [0, 500])
def test_a_site_that_goes_away_is_waited_for_and_then_given_up(status):
    refused = Reply(0, failure="no answer (refused)", cause="refused")
    lasting = Reply(500) if status else refused
    down = [None, *[refused] * 3]
    site = Site(ids(900), before=lambda _: down.pop(0) if down else None)
    assert sorted(Run(site, ids(900)).known) == sorted(ids(900))
    site = Site(ids(900), before=lambda _: lasting if len(site.requests) > 1 else None)
    with pytest.raises(UnavailableError, match="is the site up"):
        Run(site, ids(900))


def test_a_site_that_lets_nobody_in_is_given_up_at_once():
    site = Site((), before=lambda _: Reply(403))
    with pytest.raises(UnavailableError, match="403"):
        Run(site, ids(10))


def test_an_address_that_knows_nothing_is_not_asked_for_everything():
    site = Site(())
    with pytest.raises(UnavailableError, match="the address of its API"):
        Run(site, ids(50_000))
    assert len(site.requests) < 3000


@settings(max_examples=60)
@given(
    st.sets(st.integers(0, 300), max_size=300),
    st.sets(st.integers(0, 300), max_size=100),
    st.booleans(),
    st.booleans(),
    st.lists(st.sampled_from([429, 500, 502, 404, 200, 0, 503]), max_size=12),
)
def test_every_id_is_answered_for_exactly_once(asked, known, bulk, lenient, faults):
    """Whatever goes wrong a few times; a 404 or garbage for a single id alone makes it unknown."""
    names = [f"film+{i}" for i in sorted(asked)]

    def before(ids):
        status = faults.pop() if faults and len(ids) > 1 else 0
        return Reply(status, b"plain text") if status else None

    site = Site({f"film+{i}" for i in known}, bulk=bulk, lenient=lenient, before=before)
    run = Run(site, names)
    assert sorted(run.known) == sorted(set(names) & site.known)
    assert sorted(run.unknown) == sorted(set(names) - site.known)
    assert run.failed == []
