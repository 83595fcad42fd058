"""Profiles: a flaw that was planted is flagged, and a sample of the same site is not."""

import json

import numpy as np
import pytest

from movierec.quality import profile as profiles
from movierec.quality import rules
from movierec.quality.rules import Released
from tests.unit.movierec.quality.site import N_USERS, Site, without_rows


@pytest.fixture(scope="module")
def released():
    dataset = Site().sample(1000)[0]
    return Released("v1", "d1", Site().profile(1000), dataset.movie_ids)


def levels(released, site, seed=1):
    found = rules.compare(site.profile(seed), released.movie_ids, released)
    return {each.attribute: each.level for each in found.drifts}


@pytest.mark.parametrize(
    ("site", "attribute", "level"),
    [
        (Site(rating_shift=1), "ratings", "stop"),
        (Site(swaps_ages=True), "ages", "stop"),
        (Site(flat=True), "popularity", "stop"),
        (Site(hours_moved=4), "hours", "stop"),
        (Site(offset="300"), "clock offsets", "warn"),
        (Site(horror=True), "genres", "stop"),
    ],
)
def test_an_attribute_that_has_drifted_is_flagged_and_no_other(released, site, attribute, level):
    found = levels(released, site)
    assert found[attribute] == level
    assert {name for name, each in found.items() if each != "same"} == {attribute}


def test_a_sample_of_the_same_site_is_not_flagged(released):
    flagged = [
        (seed, name, level)
        for seed in range(30)
        for name, level in levels(released, Site(), seed).items()
        if level != "same"
    ]
    assert flagged == []


def test_hours_are_not_compared_before_there_is_a_week_of_them(released):
    found = rules.compare(Site(hours_moved=4, days=2).profile(1), released.movie_ids, released)
    assert "hours" not in {each.attribute for each in found.drifts}
    assert "7 days" in found.note


def test_titles_that_are_new_or_gone_are_counted(released):
    ids = (*released.movie_ids[30:], *(f"new{i}" for i in range(200)))
    catalog = rules.compare(Site().profile(1), ids, released).catalog
    assert catalog["new_share"] == pytest.approx(200 / 470)
    assert catalog["gone_share"] == pytest.approx(0.1)


def test_without_a_released_data_set_it_says_so():
    found = rules.compare(Site().profile(1), (), "no model is released yet")
    assert found.to_json() == {"note": "no model is released yet", "attributes": {}, "catalog": {}}


def test_the_same_data_set_gives_the_same_profile_in_json(released):
    again = json.dumps(Site().profile(1000))
    assert again == json.dumps(released.profile)
    assert len(again) < 20_000


def test_a_lorenz_curve_is_the_one_made_by_hand():
    steps = profiles.lorenz(np.array([1, 1, 1, 1, 16]))
    assert sum(steps.values()) == pytest.approx(10_000)
    top_fifth = sum(n for name, n in steps.items() if float(name) <= 0.2)
    assert top_fifth == pytest.approx(8_000)
    assert profiles.lorenz(np.array([3] * 4)) == pytest.approx(profiles.lorenz(np.array([30] * 4)))


def test_interactions_of_unknown_movies_and_users_are_counted():
    dataset, attributes, *rest = Site().sample(1)
    broken = without_rows(attributes, 0.7, movies=True, users=True)
    found = profiles.profile(dataset, broken, *rest)["references"]
    lost = np.flatnonzero(~broken.movies_known)
    assert found["movies"]["interactions"] == int(np.isin(dataset.movies, lost).sum())
    assert found["users"]["unknown"] == int((~broken.users_known).sum())
    assert 0.6 < found["users"]["share"] < 0.8


def test_a_table_that_is_not_there_has_no_references():
    dataset, attributes, *rest = Site().sample(1)
    bare = without_rows(attributes, 0, movies=False)
    object.__setattr__(bare, "movies_known", None)
    object.__setattr__(bare, "users_known", None)
    assert profiles.profile(dataset, bare, *rest)["references"] == {}


def test_a_correlation_that_was_planted_is_the_first():
    dataset, attributes, *rest = Site().sample(1)
    users = np.repeat(np.arange(N_USERS), np.diff(dataset.indptr))
    object.__setattr__(dataset, "strength", (attributes.ages[users] / 100).astype(np.float32))
    first = profiles.profile(dataset, attributes, *rest)["correlations"][0]
    assert first == ["strength", "user's age", 1.0]
