"""What users wrote becomes lists, and new movies find their users: from lake to answer."""

import numpy as np
import pytest

from functions.refresh import changing, newer_events
from movierec.aws.delta_lake import DeltaLake
from movierec.lake import plausible_times
from movierec.model import withdrawn
from movierec.model.overlay import REASONS
from tests.contract.refresh_site import N_MOVIES, OddsAndEvens, Site, columns, event, watch


@pytest.fixture
def site(tmp_path):
    found = Site(tmp_path / "lake")
    found.tastes = OddsAndEvens
    return found


@pytest.fixture
def model(site):
    version = site.train()
    site.serve(version)
    return version


def numbers(ranked):
    return [int(one[1:]) for one in ranked.movie_ids]


def are_odd(found):
    return all(n % 2 for n in found)


def test_a_new_account_has_a_list_from_what_it_wrote(site, model):
    site.append("events", columns([event("create_account", 1000, 777)]))
    site.know([777], likes="give me odds")
    site.refresh()
    found = site.answer(model, 777)
    assert (found.source, found.reason, found.known_user) == ("model", "description", False)
    assert are_odd(numbers(found)[:6])


def test_dislikes_push_away(site, model):
    site.know([777], dislikes="no odds please")
    site.refresh()
    assert not any(n % 2 for n in numbers(site.answer(model, 777))[:6])


def test_the_list_is_of_the_group_until_the_site_has_told_what_the_user_wrote(site, model):
    site.append("events", columns([event("create_account", 1000, 777)]))
    site.refresh()
    assert site.answer(model, 777).reason == "group"
    site.clock.advance(60)
    site.know([777], likes="odds")
    assert site.refresh()[model] == {"number": 2, "changed_users": 1, "written": True}
    assert site.answer(model, 777).reason == "description"
    assert site.refresh()[model]["written"] is False


def test_another_text_makes_another_list_and_the_same_text_none(site, model):
    site.know([777], likes="odds")
    site.refresh()
    site.clock.advance(60)
    site.know([777], likes="odds")
    assert site.refresh()[model]["written"] is False
    site.clock.advance(60)
    site.know([777], likes="evens")
    assert site.refresh()[model]["changed_users"] == 1
    assert not are_odd(numbers(site.answer(model, 777))[:6])


@pytest.mark.parametrize("age", [-1, 12])
def test_what_minors_wrote_brings_them_no_adult_movie(site, model, age):
    site.know([777], age=age, likes="odds evens")
    site.refresh()
    found = site.answer(model, 777)
    assert found.reason == "description"
    assert not any(n % 9 == 4 for n in numbers(found))
    site.know([778], age=30, likes="odds evens")
    site.refresh()
    newest = site.newest(model)
    listed = newest.topk[newest.row_of(778)]
    assert any(m % 9 == 4 for m in listed[listed < N_MOVIES].tolist())


def test_events_count_beside_what_the_user_wrote(site, model):
    site.know([777], likes="odds")
    site.append("events", columns([watch(1000 + n, 777, 2 * n) for n in range(1, 9)]))
    site.refresh()
    found = site.answer(model, 777)
    assert found.reason == "fold_in"
    assert not are_odd(numbers(found)[:3])
    assert not set(numbers(found)) & {2 * n for n in range(1, 9)}


def test_a_text_that_says_nothing_changes_no_list(site, model):
    site.know([777], likes="hello")
    assert site.refresh()[model]["written"] is False
    site.append("events", columns([event("create_account", 1000, 778)]))
    site.know([778], likes="hello")
    site.refresh()
    assert site.answer(model, 778).reason == "group"
    assert site.newest(model).user_ids.tolist() == [778]


def test_a_new_model_begins_with_all_who_wrote_and_are_hardly_known(site, model):
    site.know([777], likes="odds")
    site.know([2], likes="odds")
    assert len(site.seen[2]) >= changing.FEW_LIKES
    site.refresh()
    assert site.newest(model).user_ids.tolist() == [777]
    site.clock.advance(3600)
    site.append("events", columns([watch(1000, 4, 1)]))
    canary = site.train()
    site.serve(model, canary)
    assert site.refresh()[canary] == {"number": 1, "changed_users": 1, "written": True}
    assert site.answer(canary, 777).reason == "description"
    assert site.refresh()[canary]["written"] is False


def test_a_model_without_tastes_is_served_as_before(site, model):
    site.tastes = lambda _movies: None
    site.append("events", columns([event("create_account", 1000, 777)]))
    site.know([777, 778], likes="odds")
    site.premiere(["m90"], "odds")
    site.refresh()
    assert site.answer(model, 777).reason == "group"
    assert site.newest(model).user_ids.tolist() == [777]
    assert site.newest(model).movie_ids == ()


def test_many_who_wrote_are_looked_through_by_and_by(site, model, monkeypatch):
    monkeypatch.setattr(changing, "MOST_DESCRIBED", 3)
    site.know(range(801, 809), likes="odds")
    site.know(range(809, 813), likes="hello")
    for so_far in (3, 6, 8, 8):
        site.refresh()
        assert len(site.newest(model).user_ids) == so_far
    assert site.refresh()[model]["written"] is False
    assert set(site.newest(model).reasons.tolist()) == {REASONS.index("description")}
    # So many at once begin it anew.
    site.clock.advance(60)
    site.know(range(901, 906), likes="evens")
    for so_far in (8, 10, 13):
        site.refresh()
        assert len(site.newest(model).user_ids) == so_far


def test_a_refresh_that_changes_nothing_reads_neither_users_nor_catalog(site, model):
    site.know([777], likes="odds")
    site.refresh()

    class Counted(DeltaLake):
        def query(self, sql, versions):
            assert set(versions) == {"events"}
            return super().query(sql, versions)

    site.lake.__class__ = Counted
    assert site.refresh()[model]["written"] is False


def test_a_lake_without_events_has_nothing_newer(tmp_path):
    lake = DeltaLake(str(tmp_path / "empty"))
    found = newer_events.read_newer(
        lake, newer_events.pin(lake), {"movielog1-0": 7}, plausible_times.DEFAULT
    )
    assert found.reached == {"movielog1-0": 7}
    assert len(found.users()) == 0


NEW = ["n1", "n2", "n3", "n4", "n5"]


def new_in(found):
    return [one for one in found.movie_ids if one.startswith("n")]


def test_new_movies_enter_the_lists_of_those_who_will_like_them(site, model):
    site.premiere(NEW, "odds")
    site.know([777], likes="odds")
    site.append("events", columns([watch(1000, 2, 0), watch(1001, 3, 1)]))
    site.refresh()
    for user in (777, 3):
        found = site.answer(model, user, 20)
        assert len(new_in(found)) == 2
        assert all(found.movie_ids.index(one) in (9, 10, 19) for one in new_in(found)) or (
            len(found.movie_ids) < 20
        )
    assert new_in(site.answer(model, 2, 20)) == []


def test_not_everybody_gets_the_same_new_movies(site, model):
    site.premiere(NEW, "odds")
    site.know(range(801, 861), likes="odds")
    site.refresh()
    found = [tuple(new_in(site.answer(model, user, 20))) for user in range(801, 861)]
    shown = [found.count(one) for one in set(found)]
    assert set(sum(found, ())) == set(NEW)
    assert max(shown) < len(found) / 4
    before = site.newest(model).topk
    site.append("events", columns([event("create_account", 1000 + n, 801 + n) for n in range(60)]))
    site.refresh()
    np.testing.assert_array_equal(site.newest(model).topk, before)


def test_what_was_seen_withdrawn_or_is_for_adults_finds_no_place(site, model):
    site.premiere(["n1", "n2"], "odds")
    site.premiere(["n3", "n4", "n5"], "odds", adult=1)
    withdrawn.save(site.store, ["n1"])
    site.know([777, 778], age=12, likes="odds")
    site.know([779], likes="odds")
    site.append("events", columns([{**watch(1000, 778, 0), "movie_id": "n2"}]))
    site.refresh()
    assert new_in(site.answer(model, 777, 20)) == ["n2"]
    assert new_in(site.answer(model, 778, 20)) == []
    assert len(set(new_in(site.answer(model, 779, 20))) - {"n1"}) == 2
