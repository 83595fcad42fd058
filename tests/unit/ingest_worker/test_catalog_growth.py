"""The catalog follows the site, and the lines that waited for it become events."""

import logging
from datetime import UTC, datetime

import numpy as np
import pytest

from ingest_worker.catalog_growth import CatalogGrowth
from ingest_worker.meter import Meter
from ingest_worker.quarantine_replay import QuarantineReplay
from movierec.errors import UnavailableError, UsageError
from movierec.lake.log_lines import Catalog, Limits
from movierec.lake.site_clock import FoundClock
from movierec.site.api_client import Fetched
from movierec.site.unknown_ids import UnknownIds
from movierec.testing.memory import FakeClock, MemoryLake, MemoryStore

NOW = datetime(2026, 11, 20, 10, 10, tzinfo=UTC)
AT = np.datetime64("2026-11-20T10:10", "us")
FIRST, SECOND = "first+film+2001", "second+film+2002"


class Site:
    """Knows some movies and users; `meanwhile` runs while it answers."""

    url = "http://site"

    def __init__(self, movies=(), users=(), failure=""):
        self.movies, self.users, self.failure = set(movies), set(users), failure
        self.asked = []
        self.meanwhile = lambda: None

    def fetch(self, *, movies, users, within_s):
        assert within_s > 0
        movies, users = list(movies), list(users)
        self.asked.append(movies or users)
        self.meanwhile()
        if self.failure:
            return Fetched((), (), frozenset(), frozenset(), self.failure)
        found = [film([one]) for one in movies if one in self.movies]
        people = [{"user_id": [one]} for one in users if one in self.users]
        return Fetched(
            tuple(found),
            tuple(people),
            frozenset(movies) - self.movies,
            frozenset(users) - self.users,
        )


def film(ids):
    return {"movie_id": ids, "runtime_minutes": [0] * len(ids)}


def wait(lake, lines, *, first=0):
    n = len(lines)
    rows = {
        "quarantined_date": np.repeat(AT.astype("datetime64[D]"), n),
        "raw": lines,
        "reason": ["unknown_movie"] * n,
        "ingested_at": np.repeat(AT, n),
        "topic": ["movielog1"] * n,
        "kafka_partition": np.zeros(n, np.int64),
        "kafka_offset": np.arange(first, first + n),
        "record_time": np.repeat(AT, n),
    }
    lake.append("quarantine", [rows], transactions={})
    settled = lake.rival()
    settled.transaction("events", "movielog1-0")
    settled.append("events", [], transactions={"movielog1-0": first + n - 1})


def watch(film=SECOND, user=2):
    return f"2026-11-20T10:05:01,{user},GET /data/m/{film}/5.mpg".encode()


@pytest.fixture
def lake():
    found = MemoryLake()
    found.append("movies", [film([FIRST])], transactions={})
    return found


@pytest.fixture
def store():
    return MemoryStore()


def growth(lake, site, store, *, clock=None, meter=None, refresh=lambda: None):
    """Return the rounds of a worker that has just started."""
    mine = lake.rival()
    replay = QuarantineReplay(
        mine,
        catalog=lambda: Catalog({row["movie_id"]: 0 for row in lake.rows("movies")}),
        limits=Limits(),
        topics=["movielog1"],
        site_clock=lambda _topic: FoundClock(),
    )
    return CatalogGrowth(
        mine,
        replay,
        clock or FakeClock(NOW),
        meter or Meter(),
        topics=["movielog1"],
        site=site,
        unknown_ids=lambda: UnknownIds(store, "http://site"),
        refresh=refresh,
    )


def ids(lake, table, column):
    return [row[column] for row in lake.rows(table)]


def test_a_film_that_came_after_the_catalog_is_asked_for_and_its_lines_are_admitted(lake, store):
    wait(lake, [watch(), watch(user=3)])
    site, meter = Site([SECOND], [2, 3]), Meter()
    one = growth(lake, site, store, meter=meter)
    one.round()
    assert ids(lake, "movies", "movie_id") == [FIRST, SECOND]
    assert ids(lake, "events", "user_id") == [2, 3]
    assert lake.rows("quarantine") == []
    one.round()
    assert ids(lake, "users", "user_id") == [2, 3]
    assert site.asked == [[SECOND], [2, 3]]
    assert meter.health(NOW)["waiting"]["admitted"] == 2
    assert meter.health(NOW)["waiting"]["lines"] == 0


def test_a_line_that_comes_later_waits_no_longer_than_a_round(lake, store):
    site = Site([SECOND], [2])
    one = growth(lake, site, store)
    one.round()
    wait(lake, [watch()])
    one.round()
    assert len(lake.rows("events")) == 1


def test_what_the_site_does_not_know_stays_and_is_not_asked_for_each_time(lake, store):
    wait(lake, [watch("no+film")])
    site, clock = Site(), FakeClock(NOW)
    one = growth(lake, site, store, clock=clock)
    one.round()
    one.round()
    growth(lake, site, store, clock=clock).round()
    assert site.asked == [["no+film"]]
    assert len(lake.rows("quarantine")) == 1
    site.movies.add("no+film")
    clock.advance(7200)
    one.round()
    assert lake.rows("quarantine") == []


def test_lines_are_admitted_after_a_load_by_hand_without_a_site(lake, store):
    one = growth(lake, None, store)
    wait(lake, [watch()])
    one.round()
    assert len(lake.rows("quarantine")) == 1
    lake.append("movies", [film([SECOND])], transactions={})
    one.round()
    assert ids(lake, "events", "movie_id") == [SECOND]


def test_new_accounts_are_asked_for_before_others(lake, store):
    events = {
        "kind": ["rate", "create_account"],
        "user_id": [5, 9],
        "topic": ["movielog1"] * 2,
        "kafka_partition": [0, 0],
        "kafka_offset": [0, 1],
    }
    lake.append("events", [events], transactions={"movielog1-0": 1})
    site = Site(users=[5, 9])
    one = growth(lake, site, store)
    one.round()
    one.round()
    assert site.asked == [[9, 5]]
    assert sorted(ids(lake, "users", "user_id")) == [5, 9]


def accounts(lake, *users, first=0):
    """Have users open accounts, one an offset."""
    n = len(users)
    events = {
        "kind": ["create_account"] * n,
        "user_id": list(users),
        "topic": ["movielog1"] * n,
        "kafka_partition": [0] * n,
        "kafka_offset": list(range(first, first + n)),
    }
    lake.append("events", [events], transactions={"movielog1-0": first + n - 1})


def test_lists_are_refreshed_once_a_round_that_has_learned_of_new_accounts(lake, store):
    asked: list[int] = []
    site = Site(users=[9, 10, 5])
    one = growth(lake, site, store, refresh=lambda: asked.append(len(lake.rows("users"))))
    one.round()
    assert asked == []
    accounts(lake, 9, 10)
    one.round()
    assert asked == [2]
    one.round()
    assert asked == [2]
    wait(lake, [watch(FIRST, user=5)], first=2)
    one.round()
    assert asked == [2]


def test_a_refresh_that_cannot_be_asked_for_is_asked_for_in_the_next_round(lake, store):
    answers = iter([UnavailableError("lambda"), None])
    asked = []

    def refresh():
        answer = next(answers)
        asked.append(answer)
        if answer:
            raise answer

    accounts(lake, 9)
    one = growth(lake, Site(users=[9]), store, refresh=refresh)
    with pytest.raises(UnavailableError):
        one.round()
    one.round()
    one.round()
    assert len(asked) == 2


def test_an_unknown_user_is_left_and_holds_no_line(lake, store):
    wait(lake, [watch(FIRST, user=77)])
    site = Site()
    one = growth(lake, site, store)
    one.round()
    one.round()
    assert site.asked == [[77]]
    assert ids(lake, "events", "user_id") == [77]


def test_a_site_that_does_not_answer_is_logged_once_and_asked_once_a_minute(lake, store, caplog):
    wait(lake, [watch()])
    site, clock, meter = Site([SECOND], failure="no answer"), FakeClock(NOW), Meter()
    one = growth(lake, site, store, clock=clock, meter=meter)
    with caplog.at_level(logging.INFO, logger="ingest_worker.catalog_growth"):
        for _ in range(9):
            one.round()
            clock.advance(20)
        assert meter.health(NOW)["waiting"]["site_failure"] == "no answer"
        site.failure = ""
        clock.advance(60)
        one.round()
    said = [record.message for record in caplog.records]
    assert said.count("site_does_not_answer") == said.count("site_answers_again") == 1
    assert len(site.asked) == 4
    assert len(lake.rows("events")) == 1


def test_an_address_that_is_none_is_an_outage_too(lake, store):
    wait(lake, [watch()])
    site, meter = Site(), Meter()

    def refuse():
        raise UsageError("no URL")

    site.meanwhile = refuse
    growth(lake, site, store, meter=meter).round()
    assert meter.health(NOW)["waiting"]["site_failure"] == "no URL"


def test_of_two_workers_that_ask_at_once_one_stores_what_the_site_says(lake, store):
    wait(lake, [watch(), watch("third+film")])
    site = Site([SECOND, "third+film"], [2])
    other = growth(lake, site, store)

    def answered_to_the_other():
        site.meanwhile = lambda: None
        other.round()

    site.meanwhile = answered_to_the_other
    one = growth(lake, site, store)
    one.round()
    assert sorted(ids(lake, "movies", "movie_id")) == [FIRST, SECOND, "third+film"]
    assert len(lake.rows("events")) == 2
    assert lake.rows("quarantine") == []
    for _ in range(2):
        one.round()
        other.round()
    assert ids(lake, "users", "user_id") == [2]


def test_a_worker_that_dies_anywhere_is_continued_by_the_next(lake, store):
    wait(lake, [watch(), watch(user=3)])
    site = Site([SECOND], [2, 3])
    for failing in range(6):
        one = growth(lake, site, store)
        mine = one._lake
        mine.fail_appends = failing % 2
        mine.lose_answers = failing // 2
        once = iter([False, True])
        one.run(lambda _s, once=once: next(once))
    growth(lake, site, store).round()
    assert sorted(ids(lake, "events", "user_id")) == [2, 3]
    assert lake.rows("quarantine") == []


def test_rounds_go_on_after_a_failure_and_end_when_told(lake, store):
    wait(lake, [watch()])
    one = growth(lake, Site([SECOND]), store)
    one._lake.fail_reads = 1
    waits = []

    def wait_for(seconds):
        waits.append(seconds)
        return len(waits) > 2

    one.run(wait_for, 20.0)
    assert waits == [20.0] * 3
    assert len(lake.rows("events")) == 1
