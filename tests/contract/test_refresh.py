"""Lists follow what users do between trainings: on a real Delta lake, from training to answers."""

import numpy as np
import pytest

from functions.refresh import overlay_store
from movierec.model import overlay, sealed_folder, withdrawn
from movierec.model.overlay import REASONS
from movierec.testing.memory import MemoryStore
from tests.contract.refresh_site import N_MOVIES, Site, columns, event, watch


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "lake")


@pytest.fixture
def model(site):
    version = site.train()
    site.serve(version)
    return version


def test_before_the_first_release_there_is_nothing_to_refresh(site):
    assert site.refresh() == {}


def test_without_newer_events_no_overlay_is_written(site, model):
    assert site.refresh() == {model: {"number": 0, "changed_users": 0, "written": False}}
    assert site.newest(model) is None


def test_what_is_watched_leaves_the_list_and_others_keep_theirs(site, model):
    listed, before = site.answer(model, 2).movie_ids, site.answer(model, 3)
    site.append("events", columns([watch(1000, 2, int(listed[0][1:]))]))
    assert site.refresh() == {model: {"number": 1, "changed_users": 1, "written": True}}
    after = site.answer(model, 2)
    assert listed[0] not in after.movie_ids
    assert (after.source, after.reason) == ("model", "fold_in")
    assert site.answer(model, 3) == before
    assert site.refresh()[model]["written"] is False


def test_a_new_user_gets_a_list_of_the_taste_that_shows(site, model):
    odd = [1, 5, 7, 11, 15]
    site.append("events", columns([watch(1000 + i, 999, m) for i, m in enumerate(odd)]))
    site.refresh()
    found = site.answer(model, 999)
    assert (found.source, found.known_user) == ("model", False)
    assert all(int(movie[1:]) % 2 for movie in found.movie_ids[:6])
    assert not set(found.movie_ids) & {f"m{m:02}" for m in odd}


def test_a_new_account_has_the_list_without_adult_movies_until_its_age_is_known(site, model):
    site.append("events", columns([event("create_account", 1000, 777)]))
    site.refresh()
    first = site.answer(model, 777)
    assert (first.source, first.reason) == ("popular", "group")
    assert not any(int(movie[1:]) % 9 == 4 for movie in first.movie_ids)
    site.clock.advance(60)
    site.know([777], age=40)
    assert site.refresh()[model]["changed_users"] == 1
    newest = site.newest(model)
    listed = newest.topk[newest.row_of(777)]
    assert any(m % 9 == 4 for m in listed[listed < N_MOVIES].tolist())


def test_refreshes_go_on_where_the_last_one_ended(site, model):
    for n, user in enumerate((2, 3, 999)):
        site.append("events", columns([watch(1000 + n, user, user % 2)]))
        assert site.refresh()[model] == {"number": n + 1, "changed_users": 1, "written": True}
    assert site.newest(model).user_ids.tolist() == [2, 3, 999]


def test_topics_and_partitions_have_offsets_of_their_own(site, model):
    site.append("events", columns([watch(3, 2, 0, partition=1)]))
    assert site.refresh()[model]["changed_users"] == 1
    site.append("events", columns([watch(2, 3, 0, topic="movielog2"), watch(1000, 4, 1)]))
    assert site.refresh()[model]["changed_users"] == 2
    assert site.refresh()[model]["written"] is False


def test_a_withdrawn_title_leaves_every_list_at_the_next_refresh(site, model):
    gone = site.answer(model, 2).movie_ids[0]
    withdrawn.save(site.store, [gone])
    assert site.refresh()[model] == {"number": 1, "changed_users": 0, "written": True}
    assert gone not in site.answer(model, 2).movie_ids
    assert site.refresh()[model]["written"] is False
    withdrawn.save(site.store, [])
    assert site.refresh()[model]["written"] is True
    assert site.answer(model, 2).movie_ids[0] == gone


def test_a_canary_has_an_overlay_of_its_own_with_what_is_newer_than_its_data(site, model):
    site.append("events", columns([watch(1000, 2, 0)]))
    site.clock.advance(3600)
    canary = site.train()
    site.append("events", columns([watch(1001, 3, 1)]))
    site.serve(model, canary)
    found = site.refresh()
    assert found[model]["changed_users"] == 2
    assert found[canary]["changed_users"] == 1
    assert site.newest(canary).user_ids.tolist() == [3]


class CutOff(MemoryStore):
    """A bucket that fails at the put of one name, as a killed run would leave it."""

    def __init__(self, objects, name):
        super().__init__(objects)
        self.name = name

    def put_if_absent(self, key, body):
        if key.endswith(self.name):
            raise KeyboardInterrupt
        super().put_if_absent(key, body)

    def put(self, key, body):
        if key.endswith(self.name):
            raise KeyboardInterrupt
        super().put(key, body)


@pytest.mark.parametrize("name", ["recent_users.npy", sealed_folder.MANIFEST_FILE, "newest.json"])
def test_a_run_that_is_killed_leaves_nothing_that_the_next_does_not_mend(site, model, name):
    site.append("events", columns([watch(1000, 2, 0)]))
    whole = site.store
    site.store = CutOff({key: whole.get(key) for key in whole.keys("")}, name)
    with pytest.raises(KeyboardInterrupt):
        site.refresh()
    assert site.newest(model) is None
    site.store = MemoryStore({key: site.store.get(key) for key in site.store.keys("")})
    assert site.refresh()[model] == {"number": 2, "changed_users": 1, "written": True}
    assert site.newest(model).reasons.tolist() == [REASONS.index("fold_in")]


def test_of_two_runs_at_once_one_stops(site, model):
    class Raced(MemoryStore):
        """A bucket in which another run publishes the same number first."""

        def keys(self, prefix):
            found = list(super().keys(prefix))
            if prefix.startswith(overlay.PREFIX):
                super().put(overlay.key(model, 1, overlay.FILE), b"another run's")
            return iter(found)

    site.append("events", columns([watch(1000, 2, 0)]))
    site.store = Raced({key: site.store.get(key) for key in site.store.keys("")})
    assert site.refresh()[model] == {"number": 0, "changed_users": 0, "written": False}
    site.store = MemoryStore({key: site.store.get(key) for key in site.store.keys("")})
    assert site.refresh()[model] == {"number": 2, "changed_users": 1, "written": True}


def test_the_manifest_says_what_it_was_made_from(site, model):
    site.append("events", columns([watch(1000, 2, 0)]))
    site.refresh()
    key = overlay.key(model, 1, sealed_folder.MANIFEST_FILE)
    facts = sealed_folder.open_manifest(site.store.get(key))
    assert facts["offsets"] == {"movielog1-0": 1000}
    assert facts["lake"]["versions"]["events"] == site.lake.version("events")
    assert facts["counts"] == {"users": 1, "changed_users": 1}
    assert facts["code_version"] == "abc"


def test_old_overlays_are_deleted_and_the_newest_never(site, model, monkeypatch):
    monkeypatch.setattr(overlay_store, "KEPT", 2)
    for number in range(1, 6):
        site.append("events", columns([watch(1000 + number, 2, number)]))
        assert site.refresh()[model]["number"] == number
    folder = f"{overlay.PREFIX}{model}/"
    numbers = {key.split("/")[2] for key in site.store.keys(folder)}
    assert numbers == {"00000004", "00000005", "newest.json"}
    assert site.newest(model) is not None


def test_of_a_model_that_is_no_longer_served_the_newest_overlay_alone_is_kept(site, model):
    withdrawn.save(site.store, ["m03"])
    for number in range(1, 4):
        site.append("events", columns([watch(1000 + number, 2, number)]))
        site.refresh()
    for days, left in ((1, 4), (40, 2)):
        site.clock.advance(days * 86400)
        site.append("events", columns([watch(2000 + days, 3, 1)]))
        newer = site.train()
        site.serve(newer)
        site.append("events", columns([watch(3000 + days, 3, 2)]))
        assert site.refresh()[newer]["number"] == 1
        folder = f"{overlay.PREFIX}{model}/"
        found = {key.split("/")[2] for key in site.store.keys(folder)}
        assert len(found) == left
        assert {"00000003", "newest.json"} <= found
    assert withdrawn.load(site.store) == frozenset({"m03"})
    site.serve(model)
    assert site.refresh()[model]["number"] == 4


def test_lists_between_trainings_count_costs_as_the_models_do(site):
    """Dear movies lie behind all cheap ones that are left; the cost of a list is known."""
    site.clock.advance(60)
    site.price(np.where(np.arange(N_MOVIES) % 4 < 2, 9.0, 1.0))
    dear = {f"m{i:02}" for i in range(N_MOVIES) if i % 4 < 2}
    found = {}
    for weight in (0, 50):
        version = site.train(cost_weight=weight)
        site.clock.advance(60)
        site.serve(version)
        site.append("events", columns([watch(2000 + weight, 2, 29)]))
        site.refresh()
        movies = site.answer(version, 2).movie_ids
        assert site.newest(version).row_of(2) is not None
        found[weight] = [movie in dear for movie in movies]
    assert found[50] == sorted(found[50])
    assert found[0] != sorted(found[0])
