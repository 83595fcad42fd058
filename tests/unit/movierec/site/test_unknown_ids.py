import json

import pytest

from movierec.site.unknown_ids import KEY, UnknownIds
from movierec.testing.memory import FakeClock, MemoryStore

SITE = "http://site"
HOUR = 3600


@pytest.fixture
def clock():
    return FakeClock()


def noted(store, clock, *ids, asked=None):
    found = UnknownIds(store, SITE)
    found.note("movie", asked=asked or ids, unknown=ids, now=clock.now())
    found.save()


def due(store, clock, *ids, site=SITE, kind="movie"):
    return UnknownIds(store, site).due(kind, ids, clock.now())


def test_an_unknown_id_is_asked_for_again_after_an_hour_and_then_ever_more_seldom(clock):
    store = MemoryStore()
    asked_at = []
    for hour in range(40):
        if due(store, clock, "typo"):
            asked_at.append(hour)
            noted(store, clock, "typo")
        clock.advance(HOUR)
    assert asked_at == [0, 1, 2, 4, 8, 16, 32]
    clock.advance(300 * 24 * HOUR)
    noted(store, clock, "typo")
    clock.advance(30 * 24 * HOUR - 1)
    assert due(store, clock, "typo") == []
    clock.advance(1)
    assert due(store, clock, "typo") == ["typo"]


def test_what_the_site_has_learnt_is_forgotten(clock):
    store = MemoryStore()
    noted(store, clock, "late", "typo")
    noted(store, clock, asked=["late"])
    assert due(store, clock, "late", "typo", "new") == ["late", "new"]


def test_kinds_and_sites_are_apart(clock):
    store = MemoryStore()
    noted(store, clock, "7")
    assert due(store, clock, "7", kind="user") == ["7"]
    assert due(store, clock, "7", site="http://another") == ["7"]
    assert due(store, clock, "7") == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        json.dumps({"site": SITE, "unknown": {"movie": {"a": 1}, "user": {}}}).encode(),
        json.dumps({"site": SITE, "unknown": {"movie": [], "user": {}}}).encode(),
    ],
)
def test_a_memory_that_is_none_is_begun_anew(clock, body):
    assert due(MemoryStore({KEY: body}), clock, "a") == ["a"]


def test_the_memory_is_bounded(clock):
    store = MemoryStore()
    noted(store, clock, *(f"typo+{i}" for i in range(100_100)))
    assert due(store, clock, "typo+0", "typo+99", "typo+100") == ["typo+0", "typo+99"]
