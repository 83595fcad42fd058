"""What a site's processes share in a file: when it opened, and the accounts created since."""

import multiprocessing

import pytest

from movierec.errors import UsageError
from simulator import synthetic_world
from simulator.growing_site import Site
from simulator.growth_state import GrowthState
from simulator.site_records import RecordOptions, SiteRecords

WORLD = synthetic_world.generate(50, 200, 3)


def test_an_account_that_one_process_creates_is_known_to_the_other(tmp_path):
    path = tmp_path / "site" / "growth.json"
    traffic, apis = (Site(WORLD, state=GrowthState(path)) for _ in range(2))
    records = SiteRecords(apis, RecordOptions())
    assert records.user(51) is None
    assert not path.exists()
    assert list(traffic.create_accounts(2)) == [50, 51]
    assert (records.user(52) or {})["user_id"] == 52
    assert records.user(53) is None
    assert list(Site(WORLD, state=GrowthState(path)).create_accounts(1)) == [52]


def test_a_later_process_takes_the_site_as_opened_when_the_first_one_did(tmp_path):
    path = tmp_path / "growth.json"
    assert GrowthState(path).opened_at_s(1000.0) == 1000.0
    assert GrowthState(path).opened_at_s(5000.0) == 1000.0
    assert GrowthState(path).films_at(1000.0 + 86_400, 3.0, 9e9) == 3
    assert GrowthState(path).films_at(0.0, 3.0, 9e9) == 0
    assert GrowthState(None).opened_at_s(7.0) == 7.0


def _claim(path, times, found):
    state = GrowthState(path)
    found.put([state.claim_accounts(1, 1.0) for _ in range(times)])


def test_processes_that_create_accounts_at_once_create_different_ones(tmp_path):
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    arguments = (tmp_path / "growth.json", 40, found)
    processes = [context.Process(target=_claim, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    claimed = [number for _ in processes for number in found.get(timeout=60)]
    for process in processes:
        process.join()
    assert sorted(claimed) == list(range(80))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"opened_at_s": 1, "other": 2}'])
def test_a_foreign_file_is_named(tmp_path, text):
    path = tmp_path / "growth.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="--site-state"):
        GrowthState(path).accounts()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        GrowthState(tmp_path / "file" / "growth.json").claim_accounts(1, 1.0)
