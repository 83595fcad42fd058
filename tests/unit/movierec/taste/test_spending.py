"""A day's budget is never overspent, whoever spends at once and whoever is killed."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest

from movierec.errors import ArtifactError, ObjectExistsError
from movierec.taste.spending import PREFIX, Ledger, Spent
from movierec.testing.memory import MemoryStore

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def ledger(store, at=NOON):
    return Ledger(store, at)


def test_what_is_reserved_is_spent_until_it_is_settled():
    store = MemoryStore()
    assert ledger(store).reserve(1.0, least_usd=0.1, most_usd=0.75) == 0.75
    assert ledger(store).total().usd == 0.75
    ledger(store).settle(0.75, Spent(0.25, 3, 100, 20))
    assert ledger(store).total() == Spent(0.25, 3, 100, 20)


def test_no_more_is_granted_than_is_left_and_nothing_below_one_request():
    store = MemoryStore()
    assert ledger(store).reserve(1.0, least_usd=0.1, most_usd=0.75) == 0.75
    assert ledger(store).reserve(1.0, least_usd=0.1, most_usd=0.75) == 0.25
    before = dict(store.objects)
    assert ledger(store).reserve(1.0, least_usd=0.1, most_usd=0.75) is None
    assert store.objects == before


def test_a_server_that_costs_nothing_is_always_granted():
    store = MemoryStore()
    assert ledger(store).reserve(0.0, least_usd=0.0, most_usd=0.0) == 0.0
    ledger(store).settle(0.0, Spent(0.0, 1, 100, 20))
    assert ledger(store).reserve(0.0, least_usd=0.0, most_usd=0.0) == 0.0
    assert ledger(store).total().prompt_tokens == 100


def test_a_new_day_by_utc_has_a_budget_of_its_own():
    store = MemoryStore()
    late = NOON.replace(hour=23, minute=59)
    assert ledger(store, late).reserve(1.0, least_usd=0.1, most_usd=1.0) == 1.0
    elsewhere = late.astimezone(timezone(timedelta(hours=5)))
    assert ledger(store, elsewhere).reserve(1.0, least_usd=0.1, most_usd=1.0) is None
    tomorrow = late + timedelta(minutes=2)
    assert ledger(store, tomorrow).reserve(1.0, least_usd=0.1, most_usd=1.0) == 1.0


def test_many_runs_at_once_share_one_budget():
    store = MemoryStore()

    def run(_):
        granted = ledger(store).reserve(1.0, least_usd=0.25, most_usd=0.25)
        return granted or 0.0

    with ThreadPoolExecutor(8) as pool:
        granted = sum(pool.map(run, range(8)))
    assert granted == ledger(store).total().usd == 1.0


class Raced(MemoryStore):
    """A bucket in which another run counts a quarter of a dollar before each of the first puts."""

    def __init__(self, times):
        super().__init__()
        self.times = times

    def put_if_absent(self, key, body):
        if self.times:
            self.times -= 1
            ledger(self).settle(0.0, Spent(usd=0.25))
        super().put_if_absent(key, body)


def test_of_two_changes_at_once_none_is_lost():
    store = Raced(2)
    assert ledger(store).reserve(1.0, least_usd=0.1, most_usd=1.0) == 0.5
    assert ledger(store).total().usd == 1.0


def test_a_ledger_that_is_never_free_gives_up():
    class Taken(MemoryStore):
        def put_if_absent(self, key, body):
            raise ObjectExistsError(key)

    with pytest.raises(ObjectExistsError):
        ledger(Taken()).reserve(1.0, least_usd=0.1, most_usd=0.5)


def test_numbers_are_in_the_order_of_their_keys():
    store = MemoryStore()
    for _ in range(12):
        ledger(store).settle(0.0, Spent(calls=1))
    assert ledger(store).total().calls == 12


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}}", b'{"usd": "x"}', b'{"usd": NaN}', b'{"euro": 1}', b'{"usd": null}']
)
def test_a_total_that_cannot_be_read_allows_nothing(body):
    store = MemoryStore({f"{PREFIX}2026-11-20/00000001.json": body})
    with pytest.raises(ArtifactError):
        ledger(store).reserve(1.0, least_usd=0.1, most_usd=0.5)
