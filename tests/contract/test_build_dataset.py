"""The SQL of build_dataset on a real Delta lake, in a folder, against sums made one by one."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from aws_lambda_powertools import Logger, Metrics

from functions.build_dataset import handler, lake_reader
from functions.build_dataset.handler import Dependencies
from movierec.aws.delta_lake import DeltaLake
from movierec.errors import LakeError
from movierec.lake.plausible_times import PlausibleTimes
from movierec.lake.schema import ADULT_UNKNOWN
from movierec.model import artifact, sealed_folder
from movierec.model import dataset as datasets
from movierec.model.rating_scale import RatingScale
from movierec.model.segments import GROUPS
from movierec.testing.memory import MemoryStore

START = datetime(2026, 11, 20, 22, tzinfo=UTC)
N_USERS, N_MOVIES = 40, 12
DETAILS = {"watch": ("minute", 0, 130), "rate": ("rating", 1, 6), "recommend": ("status", 200, 201)}


def events(n=1500, *, seed=1, first_offset=0):
    """Return random events as rows; two partitions, times out of order, many at one second."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(["watch", "rate", "recommend"], n, p=[0.7, 0.2, 0.1])
    rows = []
    for i, kind in enumerate(kinds.tolist()):
        row = {
            "kind": kind,
            "event_time": START + timedelta(seconds=int(rng.integers(0, 14_400) // 600 * 600)),
            "user_id": int(rng.integers(1, N_USERS + 1)),
            "kafka_partition": i % 2,
            "kafka_offset": first_offset + i // 2,
        }
        if kind != "recommend":
            row["movie_id"] = f"möv.ie+{rng.integers(N_MOVIES)}"
        name, low, high = DETAILS[kind]
        row[name] = int(rng.integers(low, high))
        rows.append(row)
    return rows


def batches(rows):
    """Return rows as batches by kind: a column that a batch lacks is null."""
    by_kind = defaultdict(list)
    for row in rows:
        by_kind[row["kind"]].append(row)
    return [columns(part) for part in by_kind.values()]


def columns(rows):
    found = {name: [row[name] for row in rows] for name in rows[0]}
    times = np.array([t.replace(tzinfo=None) for t in found["event_time"]], "datetime64[us]")
    numbers = {k: np.array(v) for k, v in found.items() if isinstance(v[0], int)}
    return {**found, **numbers, "event_time": times, "event_date": times.astype("datetime64[D]")}


LOADED = np.array(["2026-11-20T00:00", "2026-11-21T00:00"], "datetime64[us]")


@pytest.fixture
def lake(tmp_path):
    return DeltaLake(str(tmp_path / "lake"))


@pytest.fixture
def filled(lake):
    rows = events()
    lake.append("events", batches(rows), transactions={"movielog1-0": 1500})
    return rows


@pytest.fixture
def catalog(lake):
    movies = {
        "movie_id": ["möv.ie+0", "möv.ie+0", "möv.ie+1", "möv.ie+3", "elsewhere"],
        "runtime_minutes": np.array([90, 100, 0, 80, 10]),
        "adult": np.array([1, 0, 1, ADULT_UNKNOWN, 0]),
        "loaded_at": LOADED[[0, 1, 0, 0, 0]],
    }
    users = {
        "user_id": np.array([1, 1, 2]),
        "age": np.array([17, 18, 70]),
        "gender": ["F", "F", "M"],
        "loaded_at": LOADED[[0, 1, 0]],
    }
    # The column `age` is left out: nobody knows it.
    unknown = {"user_id": np.array([3]), "gender": ["M"], "loaded_at": LOADED[:1]}
    lake.append("movies", [movies], transactions={})
    lake.append("users", [users, unknown], transactions={})


@pytest.fixture
def deps(lake):
    return Dependencies(
        lake=lake,
        store=MemoryStore(),
        code_version="abc",
        logger=Logger(service="test"),
        metrics=Metrics(namespace="movierec", service="test"),
    )


def seconds(row):
    return int(row["event_time"].timestamp())


def summed(rows):
    """Return {(user, movie): (minute, second)} and {(user, movie): (rating, second)}, by loops."""
    watched: dict[tuple[int, str], tuple[int, int]] = {}
    rated: dict[tuple[int, str], tuple[int, int]] = {}
    last: dict[tuple[int, str], tuple[datetime, int, int]] = {}
    for row in rows:
        if row["kind"] == "recommend":
            continue
        pair = (row["user_id"], row["movie_id"])
        if row["kind"] == "watch":
            minute, at = watched.get(pair, (0, 0))
            watched[pair] = (max(minute, row["minute"]), max(at, seconds(row)))
            continue
        order = (row["event_time"], row["kafka_partition"], row["kafka_offset"])
        if pair not in last or order > last[pair]:
            last[pair], rated[pair] = order, (row["rating"], seconds(row))
    return watched, rated


def pairs(evidence, part, value):
    """Return an evidence's columns in the form of `summed`."""
    names = [evidence.movie_ids[i] for i in part.movies]
    values = zip(getattr(part, value).tolist(), part.last_at.tolist(), strict=True)
    return dict(zip(zip(part.user_ids.tolist(), names, strict=True), values, strict=True))


@pytest.mark.parametrize("batch_events", [10_000_000, 400])
def test_sums_equal_those_made_row_by_row(lake, filled, batch_events):
    found = lake_reader.read_evidence(lake, {"events": 1}, "", batch_events=batch_events)
    watched, rated = summed(filled)
    assert len(found.watched.user_ids) == len(watched)
    assert pairs(found, found.watched, "minutes") == watched
    assert pairs(found, found.rated, "ratings") == rated
    assert found.movie_ids == sorted({row["movie_id"] for row in filled if "movie_id" in row})


def test_days_before_since_are_left_out(lake, filled):
    found = lake_reader.read_evidence(lake, {"events": 1}, "2026-11-21")
    late = [row for row in filled if row["event_time"].day == 21]
    assert 0 < len(late) < len(filled)
    assert pairs(found, found.watched, "minutes") == summed(late)[0]


def test_the_newest_word_of_catalog_and_users_counts(lake, filled, catalog):
    versions = lake_reader.pin(lake, {})
    found = lake_reader.read_evidence(lake, versions, "")
    place = {movie: i for i, movie in enumerate(found.movie_ids)}
    assert found.runtimes_minutes[place["möv.ie+0"]] == 100
    assert not found.adult[place["möv.ie+0"]]
    assert found.adult[place["möv.ie+1"]]
    assert found.adult[place["möv.ie+2"]], "not in the catalog, so not for minors"
    assert found.adult[place["möv.ie+3"]], "the site does not say, so not for minors"
    groups = [GROUPS[group] for group in found.user_groups[[1, 2, 3]]]
    assert groups == ["F:18-24", "M:55+", "unknown"]


def test_the_overview_counts_rows_offsets_and_times(lake, filled):
    found = lake_reader.read_overview(lake, {"events": 1}, "")
    assert found.rows_by_day["n"].sum() == len(filled)
    assert set(found.rows_by_day["day"].tolist()) == {"2026-11-20", "2026-11-21"}
    times = [seconds(row) * 1_000_000 for row in filled]
    assert found.rows_by_day["first_us"].min() == min(times)
    assert found.rows_by_day["last_us"].max() == max(times)
    assert found.offsets["name"].tolist() == ["0", "1"]
    assert found.offsets["first"].tolist() == [0, 0]
    assert found.offsets["last"].tolist() == [749, 749]
    assert found.quarantine == {}


def test_the_overview_adds_up_days_and_partitions_of_several_topics(lake, filled):
    for topic in ("movielog2", "a.b-c"):
        rows = [{**row, "topic": topic} for row in events(200, seed=3)]
        lake.append("events", batches(rows), transactions={})
    nowhere = [
        {name: value for name, value in row.items() if not name.startswith("kafka")}
        for row in events(60, seed=4)
    ]
    lake.append("events", batches(nowhere), transactions={})
    found = lake_reader.read_overview(lake, {"events": lake.version("events")}, "")
    everything = [*filled, *events(200, seed=3), *events(200, seed=3), *nowhere]
    expected = Counter((row["kind"], str(row["event_time"].date())) for row in everything)
    days = found.rows_by_day
    keys = list(zip(days["kind"].tolist(), days["day"].tolist(), strict=True))
    assert keys == sorted(expected)
    assert dict(zip(keys, days["n"].tolist(), strict=True)) == expected
    names = ["0", "1", "a.b-c-0", "a.b-c-1", "movielog2-0", "movielog2-1"]
    assert found.offsets["name"].tolist() == names
    assert found.offsets["n"].tolist() == [750, 750, 100, 100, 100, 100]
    assert found.offsets["last"].tolist() == [749, 749, 99, 99, 99, 99]


ODD_IDS = ["", ",", "x", "x,y", "it's", "\x1f\n", "{codes}", "ünï💥", "möv.ie+0"]


@pytest.mark.parametrize("batch_events", [10_000_000, 400])
def test_a_movie_id_may_hold_any_character(lake, batch_events):
    """No line has such a one, but a lake may."""
    rows = events()
    for row in rows:
        if "movie_id" in row:
            row["movie_id"] = ODD_IDS[int(row["movie_id"].rpartition("+")[2]) % len(ODD_IDS)]
    lake.append("events", batches(rows), transactions={})
    found = lake_reader.read_evidence(lake, {"events": 1}, "", batch_events=batch_events)
    watched, rated = summed(rows)
    assert pairs(found, found.watched, "minutes") == watched
    assert pairs(found, found.rated, "ratings") == rated
    assert found.movie_ids == sorted(ODD_IDS)


@pytest.mark.parametrize("movie_ids", [[], [""]])
def test_without_movies_or_with_an_empty_id_alone_the_lake_is_read(lake, movie_ids):
    rows = [row for row in events(100) if row["kind"] == "recommend"]
    rows += [{**row, "movie_id": ""} for row in events(100) if "minute" in row and movie_ids]
    lake.append("events", batches(rows), transactions={})
    found = lake_reader.read_evidence(lake, {"events": 1}, "")
    assert found.movie_ids == movie_ids
    assert len(found.watched.user_ids) == len(summed(rows)[0])


def test_quarantined_lines_are_counted_by_reason(lake, filled):
    bad = {"raw": [b"x", b"y", b"z"], "reason": ["minute", "user_id", "minute"]}
    day = {"quarantined_date": LOADED[[0, 0, 0]]}
    lake.append("quarantine", [{**bad, **day}], transactions={})
    found = lake_reader.read_overview(lake, lake_reader.pin(lake, {}), "").quarantine
    assert dict(zip(found["reason"].tolist(), found["n"].tolist(), strict=True)) == {
        "minute": 2,
        "user_id": 1,
    }


def test_the_same_lake_version_gives_the_same_bytes_after_more_was_written(lake, filled, deps):
    first = handler.build_dataset({}, deps)
    lake.append(
        "events", batches(events(seed=2, first_offset=750)), transactions={"movielog1-0": 3000}
    )
    newest = handler.build_dataset({}, deps)
    assert newest["dataset_id"] != first["dataset_id"]
    elsewhere = replace(deps, store=MemoryStore())
    again = handler.build_dataset(
        {
            "lake_versions": first["lake_versions"],
            "expected_dataset_id": first["dataset_id"],
        },
        elsewhere,
    )
    assert again == first
    for name in (*datasets.FILES, artifact.REPORT_FILE):
        key = datasets.key(first["dataset_id"], name)
        assert elsewhere.store.get(key) == deps.store.get(key)
    manifests = [manifest_of(each.store, first) for each in (deps, elsewhere)]
    for each in manifests:
        del each["stages"]  # what the run cost
    assert manifests[0] == manifests[1]


def manifest_of(store, answer):
    key = datasets.key(answer["dataset_id"], sealed_folder.MANIFEST_FILE)
    return sealed_folder.open_manifest(store.get(key))


def test_a_manifest_names_the_offsets_of_each_topic(lake, filled, deps):
    """Rows of before the column have none: theirs are of the partition alone."""
    other = [{**row, "topic": "movielog2"} for row in events(200, seed=3)]
    lake.append("events", batches(other), transactions={"movielog2-0": 99})
    found = manifest_of(deps.store, handler.build_dataset({}, deps))["lake"]["offsets"]
    assert set(found) == {"0", "1", "movielog2-0", "movielog2-1"}
    assert found["0"] == {"first": 0, "last": 749, "rows": 750}
    assert found["movielog2-1"] == {"first": 0, "last": 99, "rows": 100}


# What earlier code has let into a lake ------------------------------------------------------

IMPOSSIBLE = [
    datetime(1926, 11, 20, 10, 15, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(1999, 12, 30, 23, 59, 59, tzinfo=UTC),
    datetime(2106, 2, 7, 6, 28, 16, tzinfo=UTC),
    datetime(2206, 11, 20, 10, 15, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
]


def impossible():
    """Return a viewing and a rating at each impossible time: of user 7, of a user and a movie."""
    rows = []
    for place, at in enumerate(IMPOSSIBLE):
        row = {"event_time": at, "kafka_partition": 0, "kafka_offset": 9000 + place}
        rows += [
            {**row, "kind": "watch", "user_id": 7, "movie_id": "möv.ie+1", "minute": 129},
            {
                **row,
                "kind": "watch",
                "user_id": 777,
                "movie_id": "seen+by+nobody+else",
                "minute": 3,
            },
            {**row, "kind": "rate", "user_id": 7, "movie_id": "möv.ie+1", "rating": 1},
        ]
    return rows


def published(deps, answer, name):
    return deps.store.get(datasets.key(answer["dataset_id"], name))


def manifest(deps, answer):
    return sealed_folder.open_manifest(published(deps, answer, sealed_folder.MANIFEST_FILE))


def test_a_lake_with_events_of_impossible_times_gives_the_data_set_without_them(lake, filled, deps):
    clean = handler.build_dataset({}, deps)
    lake.append("events", batches(impossible()), transactions={})
    answer = handler.build_dataset({}, deps)
    assert answer["lake_versions"] == {"events": 2}
    for name in datasets.FILES:
        assert published(deps, answer, name) == published(deps, clean, name)
    (warning,) = [text for text in answer["warnings"] if "impossible times" in text]
    assert warning.startswith("18 events")
    facts, before = manifest(deps, answer), manifest(deps, clean)
    assert facts["lake"]["event_time_us"] == before["lake"]["event_time_us"]
    rows = facts["quality"]["rows"]
    assert (rows["at_impossible_times"], rows["all"]) == (18, len(filled) + 18)
    assert set(rows["by_day"]) == {"2026-11-20", "2026-11-21"}
    assert b"impossible times" in published(deps, answer, artifact.REPORT_PAGE_FILE)


def test_the_earliest_plausible_time_is_a_setting(lake, filled, deps):
    lake.append("events", batches(impossible()), transactions={})
    later = replace(deps, plausible=PlausibleTimes.parse("2026-11-22"))
    answer = handler.build_dataset({}, later)
    facts = manifest(deps, answer)
    assert facts["parameters"]["earliest_event_time"] == "2026-11-22"
    assert list(facts["quality"]["rows"]["by_day"]) == ["2026-11-21"]
    again = {
        "parameters": facts["parameters"],
        "lake_versions": answer["lake_versions"],
        "expected_dataset_id": answer["dataset_id"],
    }
    assert handler.build_dataset(again, deps)["created"] is False


def test_a_site_with_ratings_up_to_ten_says_so_and_weighs_them_as_up_to_five(lake, deps, tmp_path):
    rows = events()
    wide = [{**r, "rating": 2 * r["rating"] - 1} if r["kind"] == "rate" else r for r in rows]
    lake.append("events", batches(wide), transactions={})
    answer = handler.build_dataset({}, replace(deps, scale=RatingScale(1, 9)))
    facts = manifest(deps, answer)
    assert facts["parameters"]["site_max_rating"] == 9
    assert "of 9" in published(deps, answer, artifact.REPORT_PAGE_FILE).decode()
    elsewhere = DeltaLake(str(tmp_path / "native"))
    elsewhere.append("events", batches(rows), transactions={})
    native = handler.build_dataset({}, replace(deps, lake=elsewhere))
    assert "site_max_rating" not in manifest(deps, native)["parameters"]
    for name in ("strength.npy", "movies.npy", "part.npy"):
        assert published(deps, answer, name) == published(deps, native, name)
    assert facts["counts"] == manifest(deps, native)["counts"]


def test_a_new_account_is_an_event_that_changes_no_interaction(lake, filled, deps):
    clean = handler.build_dataset({}, deps)
    made = [
        {
            "kind": "create_account",
            "event_time": START + timedelta(minutes=place),
            "user_id": 5000 + place,
            "kafka_partition": 0,
            "kafka_offset": 9000 + place,
        }
        for place in range(5)
    ]
    lake.append("events", batches(made), transactions={})
    answer = handler.build_dataset({}, deps)
    for name in datasets.FILES:
        assert published(deps, answer, name) == published(deps, clean, name)
    assert manifest(deps, answer)["quality"]["rows"]["by_kind"]["create_account"] == 5
    assert b"create_account" in published(deps, answer, artifact.REPORT_PAGE_FILE)


@pytest.mark.parametrize("batch_events", [10_000_000, 400])
def test_sums_are_those_of_each_user_whatever_the_ids(lake, batch_events):
    rows = [{**row, "user_id": row["user_id"] + 999_999_999_999_999_000} for row in events()]
    lake.append("events", batches(rows), transactions={})
    found = lake_reader.read_evidence(lake, {"events": 1}, "", batch_events=batch_events)
    watched, rated = summed(rows)
    assert pairs(found, found.watched, "minutes") == watched
    assert pairs(found, found.rated, "ratings") == rated


def test_events_on_an_assumed_clock_are_counted(lake, filled, deps):
    clean = manifest(deps, handler.build_dataset({}, deps))
    assert clean["quality"]["rows"]["on_assumed_clock"] == 0
    more = [
        {**row, "time_basis": basis}
        for basis in ("assumed", "zone")
        for row in events(30, seed=3, first_offset=750)
    ]
    lake.append("events", batches(more), transactions={})
    answer = handler.build_dataset({}, deps)
    rows = manifest(deps, answer)["quality"]["rows"]
    assert (rows["all"], rows["on_assumed_clock"]) == (len(filled) + 60, 30)
    assert any(text.startswith("30 events are on an assumed clock") for text in answer["warnings"])


def test_users_past_the_array_of_groups_are_named_in_the_report(lake, deps):
    rows = [{**row, "user_id": row["user_id"] + 400_000_000_000_000} for row in events()]
    lake.append("events", batches(rows), transactions={})
    answer = handler.build_dataset({}, deps)
    assert any("users have ids above 16,000,000" in text for text in answer["warnings"])


def test_a_version_that_never_was_is_refused(lake, filled, deps):
    with pytest.raises(LakeError, match="version 99"):
        handler.build_dataset({"lake_versions": {"events": 99}}, deps)


# The newest interactions -----------------------------------------------------------------------


@pytest.mark.parametrize("batch_events", [10_000_000, 400])
def test_only_the_newest_interactions_are_read_if_there_are_more(lake, filled, batch_events):
    found = lake_reader.read_evidence(
        lake, {"events": 1}, "", max_interactions=100, batch_events=batch_events
    )
    watched, rated = summed(filled)
    last = {
        pair: max(each[pair][1] for each in (watched, rated) if pair in each)
        for pair in watched | rated
    }
    kept = set(sorted(last, key=lambda pair: (-last[pair], pair))[:100])
    assert pairs(found, found.watched, "minutes") == {k: v for k, v in watched.items() if k in kept}
    assert pairs(found, found.rated, "ratings") == {k: v for k, v in rated.items() if k in kept}
    assert found.older == len(last) - 100


def test_below_the_cap_the_data_set_is_the_one_without_a_cap(lake, filled, deps):
    """Its id too: the parameter is no part of it at its default."""
    free = handler.build_dataset({}, deps)
    exact = handler.build_dataset({"parameters": {"max_interactions": 50_000_000}}, deps)
    assert exact == {**free, "created": False}
    wide = handler.build_dataset({"parameters": {"max_interactions": 1500}}, deps)
    for name in datasets.FILES:
        assert published(deps, wide, name) == published(deps, free, name)
    assert "max_interactions" not in manifest(deps, free)["parameters"]


def test_what_the_cap_leaves_out_is_in_the_report(lake, filled, deps):
    answer = handler.build_dataset({"parameters": {"max_interactions": 200}}, deps)
    assert answer["interactions"] <= 200
    older = manifest(deps, answer)["quality"]["interactions"]["older"]
    assert older > 0
    assert any(text.startswith(f"{older} older interactions") for text in answer["warnings"])
