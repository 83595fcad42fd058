"""Descriptions, movie texts and costs from a real Delta lake into a data set."""

import json
from dataclasses import replace

import numpy as np
import pytest

from functions.build_dataset import handler
from movierec.aws.delta_lake import DeltaLake
from movierec.lake import queries, text_queries
from movierec.lake.catalog import parse_movies, parse_users
from movierec.model import artifact, sealed_folder
from movierec.model import dataset as datasets
from movierec.model.dataset_parameters import Parameters
from movierec.model.texts import FILES, Description, MovieText
from movierec.testing.memory import MemoryStore
from simulator import synthetic_world
from simulator.growing_site import Site
from simulator.site_records import RecordOptions, SiteRecords
from tests.contract.test_build_dataset import (
    LOADED,
    START,
    batches,
    catalog,
    deps,
    events,
    filled,
    lake,
    manifest,
    published,
)

__all__ = ["catalog", "deps", "filled", "lake"]

LIMITS = {"unknown_movie_share": 0.99, "unknown_user_share": 0.99, "violation_share": 0.5}
OPTIONAL = {*FILES, datasets.COSTS_FILE}
ODD = 'O\'Hara, said: {x}; "drop" ünï 💥'


def users(lake, *rows):
    """Append users, by id, day of the load, likes, dislikes."""
    ids, days, likes, dislikes = zip(*rows, strict=True)
    batch = {
        "user_id": np.array(ids),
        "loaded_at": LOADED[list(days)],
        "self_description_likes": list(likes),
        "self_description_dislikes": list(dislikes),
    }
    lake.append("users", [batch], transactions={})


def movie(lake, movie_id, day=0, **fields):
    given = {name: [value] for name, value in fields.items()}
    lake.append(
        "movies", [{"movie_id": [movie_id], "loaded_at": LOADED[[day]], **given}], transactions={}
    )


@pytest.fixture
def described(lake):
    users(
        lake,
        (1, 0, "old", None),
        (2, 0, "gone since", "gone too"),
        (3, 0, " \t\n", ""),
        (4, 0, None, f" {ODD} "),
        (5, 0, "x" * 5000, None),
        (99_999, 0, "watched nothing", None),
    )
    users(lake, (1, 1, "new", "gore"), (2, 1, None, " "))


@pytest.fixture
def told(lake):
    movie(lake, "möv.ie+0", title="Old", cost_usd=9.0)
    movie(
        lake,
        "möv.ie+0",
        1,
        title=" The Möv.ie ",
        genres=["Drama", "Crime, of course"],
        keywords=["heist", "", "heist"],
        overview="y" * 3000,
        other=json.dumps({"director": "A. Director"}),
        cost_usd=1.25,
    )
    movie(lake, "möv.ie+1", other="[not an object", cost_usd=-3.0)
    movie(lake, "möv.ie+2", title="It's", cost_usd=1e300)
    movie(lake, "elsewhere", title="Elsewhere", cost_usd=5.0)


def built(deps, **parameters):
    answer = handler.build_dataset({"parameters": parameters, "limits": LIMITS}, deps)
    return answer, datasets.load(deps.store, answer["dataset_id"])


def said(dataset):
    ids = dataset.user_ids[dataset.texts.rows].tolist()
    return dict(zip(ids, dataset.texts.descriptions, strict=True))


def test_the_newest_description_of_each_user_counts(lake, filled, described, deps):
    _, dataset = built(deps)
    assert said(dataset) == {
        1: Description("new", "gore"),
        4: Description("", ODD),
        5: Description("x" * text_queries.LONGEST, ""),
    }
    assert dataset.texts.movies == (MovieText(),) * len(dataset.movie_ids)
    assert dataset.costs is None


def test_texts_and_costs_of_movies_are_those_of_the_newest_row(lake, filled, told, deps):
    _, dataset = built(deps)
    found = dict(zip(dataset.movie_ids, dataset.texts.movies, strict=True))
    assert found["möv.ie+0"] == MovieText(
        title="The Möv.ie",
        genres=("Drama", "Crime, of course"),
        keywords=("heist",),
        people=("A. Director",),
        overview="y" * text_queries.LONGEST,
    )
    assert found["möv.ie+1"] == found["möv.ie+3"] == MovieText()
    assert dataset.texts.descriptions == ()
    costs = dict(zip(dataset.movie_ids, dataset.costs.tolist(), strict=True))
    assert [costs[f"möv.ie+{n}"] for n in range(3)] == [1.25, -3.0, np.inf]
    assert np.isnan(costs["möv.ie+3"])


def test_without_texts_and_costs_there_are_no_files_and_all_others_are_the_same(
    lake, filled, catalog, deps, tmp_path
):
    """The fixture's tables have other columns alone."""
    bare, _ = built(deps, min_movie_users=1)
    names = set(manifest(deps, bare)["files"])
    assert not names & OPTIONAL
    movie(lake, "elsewhere", title="Of no movie of the data set", cost_usd=1.0)
    users(lake, (1, 1, " ", None), (99_999, 0, "watched nothing", None))
    answer, dataset = built(deps, min_movie_users=1)
    assert (dataset.texts, dataset.costs) == (None, None)
    for name in datasets.FILES:
        if name != "user_groups.npy":
            assert published(deps, answer, name) == published(deps, bare, name)


def test_the_id_is_the_one_of_code_that_reads_no_texts(lake, filled, described, told, deps):
    answer, dataset = built(deps)
    plain = datasets.pack(replace(dataset, texts=None, costs=None))
    parameters = Parameters.read(manifest(deps, answer)["parameters"])
    assert "max_described_users" not in manifest(deps, answer)["parameters"]
    expected = datasets.dataset_id(plain, parameters, answer["lake_versions"])
    assert answer["dataset_id"] == expected


@pytest.mark.parametrize("most", [0, 1, 2, 5, 6])
def test_of_too_many_descriptions_those_of_users_who_like_most_are_kept(lake, filled, deps, most):
    wrote = list(range(1, 7))
    users(lake, *((user, 0, f"I am {user}", None) for user in wrote))
    answer, dataset = built(deps, max_described_users=most)
    liked = np.add.reduceat(dataset.strength > 0, dataset.indptr[:-1]).tolist()
    likes = dict(zip(dataset.user_ids.tolist(), liked, strict=True))
    kept = sorted(wrote, key=lambda user: (-likes[user], user))[:most]
    found = said(dataset) if most else {}
    assert found == {user: Description(f"I am {user}") for user in sorted(kept)}
    assert manifest(deps, answer)["quality"]["texts"]["users_left_out"] == 6 - most


def test_the_report_counts_texts_and_costs(lake, filled, described, told, deps):
    answer, _ = built(deps)
    found = manifest(deps, answer)["quality"]["texts"]
    assert found["users_described"] == 3
    assert found["users_with"] == {"likes": 2, "dislikes": 2}
    assert found["movies_with"]["title"] == 2
    assert found["movies_with"]["people"] == 1
    assert found["movies_with_cost"] == 3
    assert found["quartiles"]["likes_characters"] == [502.25, 1001.5, 1500.75]
    assert found["quartiles"]["cost_usd"][1] == pytest.approx(-0.875)
    assert b"users described" in published(deps, answer, artifact.REPORT_PAGE_FILE)


def test_texts_and_costs_are_built_again_the_same(lake, filled, described, told, deps):
    made, _ = built(deps, max_described_users=2)
    assert set(manifest(deps, made)["files"]) >= OPTIONAL
    users(lake, (1, 1, "written since", None))
    movie(lake, "möv.ie+0", 1, title="Renamed since", cost_usd=2.0)
    answer = handler.build_dataset({"rebuild": made["dataset_id"]}, deps)
    assert answer["same"]
    compared = {check["name"] for check in answer["checks"]}
    assert {f"data set {name}" for name in OPTIONAL} <= compared


def test_a_data_set_of_code_that_read_no_texts_is_built_again_the_same(
    lake, filled, described, told, deps
):
    made, _ = built(deps)
    key = datasets.key(made["dataset_id"], sealed_folder.MANIFEST_FILE)
    facts = json.loads(deps.store.objects[key])
    facts["report_format"] = 2
    for name in OPTIONAL:
        del facts["files"][name]
    deps.store.objects[key] = json.dumps(facts).encode()
    answer = handler.build_dataset({"rebuild": made["dataset_id"]}, deps)
    assert answer["same"]
    assert "data set user_groups.npy" in {check["name"] for check in answer["checks"]}


def test_the_same_rows_in_another_order_give_the_same_bytes(tmp_path, filled, deps):
    def filled_lake(name, order):
        other = DeltaLake(str(tmp_path / name))
        other.append("events", batches(filled), transactions={})
        for user in order:
            users(other, (1, 0, f"one of two at once: {user}", str(-user)))
        for n in order:
            movie(other, "möv.ie+0", title=f"{n}", overview=str(-n), cost_usd=float(n))
        return other

    found = []
    for name, order in (("a", (1, 2, 3)), ("b", (3, 1, 2))):
        each = replace(deps, lake=filled_lake(name, order), store=MemoryStore())
        answer, _ = built(each)
        found.append([published(each, answer, name) for name in sorted(OPTIONAL)])
    assert found[0] == found[1]


def test_what_the_simulated_site_says_is_in_the_data_set(lake, deps):
    site = Site(synthetic_world.generate(60, 40, 7))
    records = SiteRecords(site, RecordOptions(cost=True, described=0.5))
    ids = site.world.films.ids
    rows = [
        {**row, "movie_id": ids[int(row["movie_id"].rpartition("+")[2])]}
        for row in events()
        if "movie_id" in row
    ]
    lake.append("events", batches(rows), transactions={})
    loaded = [
        read(lines, START).columns
        for read, lines in (
            (parse_movies, records.movie_lines()),
            (parse_users, records.user_lines()),
        )
    ]
    for table, columns in zip(("movies", "users"), loaded, strict=True):
        lake.append(table, [columns], transactions={})
    answer, dataset = built(deps)
    assert set(manifest(deps, answer)["files"]) >= OPTIONAL
    for user, description in said(dataset).items():
        wrote = records.user(user)
        assert wrote
        assert description.likes == (wrote["self_description_likes"] or "").strip()
    assert 10 <= len(dataset.texts.rows) <= 30
    for movie_id, text, cost in zip(
        dataset.movie_ids, dataset.texts.movies, dataset.costs, strict=True
    ):
        document = records.movie(movie_id)
        assert document
        assert text.title == document["title"]
        assert text.genres == tuple(genre["name"] for genre in document["genres"])
        assert {one["name"] for one in document["production_companies"]} <= set(text.people)
        assert cost == np.float32(document["cost"])


# Reading by itself, as the refresh does -----------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2001, 30_000])
def test_few_and_many_users_are_read_alike(lake, described, n):
    wanted = np.unique([1, 2, 5, *range(1000, 1000 + n - 1)])
    ids, descriptions = text_queries.read_descriptions(
        lake, {"users": lake.version("users")}, wanted
    )
    assert ids.tolist() == [1, 5]
    assert descriptions == (Description("new", "gore"), Description("x" * text_queries.LONGEST, ""))


@pytest.mark.parametrize("n", [1, 30_000])
def test_few_and_many_movies_are_read_alike(lake, told, n):
    wanted = ["möv.ie+2", "it's not there", *(f"z{i}" for i in range(n)), "elsewhere"]
    found = text_queries.read_movies(lake, {"movies": lake.version("movies")}, wanted)
    assert len(found.texts) == len(found.costs) == len(wanted)
    assert (found.texts[0].title, found.texts[1].title) == ("It's", "")
    assert found.texts[-1].title == "Elsewhere"
    assert found.costs[-1] == 5.0


def test_without_tables_there_are_no_texts(lake):
    assert text_queries.read_described_users(lake, {}).tolist() == []
    ids, descriptions = text_queries.read_descriptions(lake, {}, np.array([1]))
    assert (ids.tolist(), descriptions) == ([], ())
    found = text_queries.read_movies(lake, {}, ["a"])
    assert found.texts == [MovieText()]
    assert np.isnan(found.costs).all()


@pytest.mark.parametrize("n", [0, 1, 2000, 2001, 20_001])
def test_conditions_hold_of_every_id_once(n):
    conditions = list(queries.of_ids("i", [str(i) for i in range(n)]))
    in_lists = sum(one.count(",") + 1 for one in conditions if " in (" in one)
    assert in_lists == (n if n <= 20_000 else 0)
    assert len(conditions) == -(-n // (2000 if n <= 20_000 else 20_000))
