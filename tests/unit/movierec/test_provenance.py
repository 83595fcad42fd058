"""The chain from a recommendation to its data: matched, laid out, and compared."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from movierec import artifact, provenance
from movierec.provenance import Chain, Check, Function, Served, microseconds
from movierec.ranking import Ranked

AT = datetime(2026, 11, 20, 10, 15, 0, 250_000, tzinfo=UTC)
MOVIES = ("a+1999", "b+2000")
MODEL = "20261120T101500Z-abc-def"

SERVED = Served(microseconds(AT), "id-1", 7, MOVIES, MODEL, "12", "model", 200, 8.25)
FUNCTION = Function("movierec-api", "12", "abc123", "c0de", MODEL, "2026-11-20", "R1 m first")
SUM = artifact.checksum(b"bytes")
MODEL_MANIFEST: dict[str, Any] = {
    "model_version": MODEL,
    "created_at": "2026-11-20T10:00:00+00:00",
    "duration_s": 12.3,
    "git": {"commit": "abc123", "dirty": True},
    "python": "3.13.0",
    "libraries": {"numpy": "2.3"},
    "parameters": {"factors": 64},
    "metrics": {"k": 20, "model": {"ndcg": 0.123456, "by_group": {}}, "popularity": {"ndcg": 0.1}},
    "dataset_id": "d1",
    "files": {"topk.npy": SUM},
}
DATASET_MANIFEST: dict[str, Any] = {
    "dataset_id": "d1",
    "code_version": "abc123",
    "parameters": {"since": ""},
    "counts": {"users": 3},
    "quality": {"rows": {"by_kind": {"watch": 90, "rate": 10}}},
    "lake": {
        "versions": {"events": 41},
        "offsets": {"0": {"first": 0, "last": 99, "rows": 100}},
        "event_time_us": {"first": 1_790_000_000_000_000, "last": 1_790_000_001_000_000},
    },
    "files": {"indptr.npy": SUM},
}


def release(name: str, at: str, *, version: str = "12", sends: str = "route") -> tuple[Any, ...]:
    """Return a release's steps: cut and tested, and then perhaps shown to users."""
    steps = (("cut", "2026-11-01"), ("smoke", "2026-11-01"), (sends, at))
    return tuple({"release_id": name, "version": version, "name": n, "at": t} for n, t in steps)


OLD, NEW = release("old", "2026-11-19T09:00"), release("new", "2026-11-20T10:00")


@pytest.mark.parametrize(
    ("newest_first", "expected"),
    [
        ([NEW, OLD], "new"),
        ([release("later", "2026-11-20T11:00"), OLD], "old"),
        ([release("of another", "2026-11-20T10:00", version="13"), OLD], "old"),
        ([release("refused", "2026-11-20T10:00", sends="abort"), OLD], "old"),
        ([release("later", "2026-11-20T11:00"), release("soon", "2026-11-20T10:16")], "soon"),
        ([], None),
    ],
)
def test_the_release_is_the_last_that_sent_users_to_the_version(
    newest_first: list[tuple[Any, ...]], expected: str | None
) -> None:
    found = provenance.release_behind(SERVED, "12", newest_first)
    assert {step["release_id"] for step in found} == ({expected} if expected else set())


ON_13, ON_12 = {"stable": "13", "canary": None}, {"stable": "12", "canary": None}
CANARY_12 = {"stable": "11", "canary": "12", "canary_percent": 5.0}


@pytest.mark.parametrize(
    ("name", "version", "before", "after", "sends"),
    [
        ("weigh", "12", {"stable": "11", "canary": None}, CANARY_12, True),
        ("promote", "12", None, ON_12, True),
        ("rollback", "13", ON_13, ON_12, True),  # back to an earlier version
        ("rollback", "12", CANARY_12, {"stable": "11", "canary": None}, False),
        ("rollback", "13", {"stable": "12", "canary": "13"}, ON_12, False),  # it was there before
        ("smoke", "12", ON_13, None, False),
        ("hold", "12", CANARY_12, None, False),
    ],
)
def test_a_step_sends_users_to_a_version_that_had_none(
    name: str, version: str, before: Any, after: Any, sends: bool
) -> None:
    step = {"name": name, "version": version, "before": before, "after": after, "at": "then"}
    assert provenance.put_users_on([step], "12") == ("then" if sends else None)


def test_no_more_releases_are_read_than_needed() -> None:
    read = iter([NEW, OLD])
    provenance.release_behind(SERVED, "12", read)
    assert next(read) is OLD


def event(seconds: float = 0, movies: tuple[str, ...] = MOVIES) -> dict[str, Any]:
    return {
        "kind": "recommend",
        "event_time": AT + timedelta(seconds=seconds),
        "user_id": 7,
        "status": 200,
        "movie_ids": list(movies),
        "error": None,
        "latency_ms": 12,
        "server": "host:8082",
        "kafka_partition": 0,
        "kafka_offset": 4711,
    }


STEP = {
    "name": "weigh",
    "at": "2026-11-20T09:00:00",
    "after": {"stable": "11", "canary": "12", "canary_percent": 25.0},
    "reason": "fine so far",
}
CHAIN = Chain(SERVED, event(), FUNCTION, (STEP,), MODEL_MANIFEST, DATASET_MANIFEST)


def text(chain: Chain) -> str:
    return "\n".join(
        f"[{section.title}] {label}: {value}"
        for section in provenance.render(chain)
        for label, value in section.rows
    )


def test_a_row_of_the_lake_is_a_recommendation() -> None:
    row = {
        "served_at": AT.replace(tzinfo=None),
        "recommendation_id": "id-1",
        "user_id": 7,
        "movie_ids": list(MOVIES),
        "model_version": MODEL,
        "function_version": "12",
        "source": "model",
        "status": 200,
        "latency_ms": 8.25,
    }

    assert provenance.served(row) == SERVED


def test_nulls_of_the_lake_are_empty_values() -> None:
    row = dict.fromkeys(("recommendation_id", "movie_ids", "model_version", "function_version"))
    rest = {"served_at": AT, "user_id": 7, "source": "fallback", "status": None, "latency_ms": None}

    found = provenance.served({**row, **rest})

    assert (found.movie_ids, found.model_version, found.function_version) == ((), "", "")


def test_the_recommendation_nearest_in_time_is_taken() -> None:
    early, late = (
        Served(microseconds(AT + timedelta(seconds=s)), f"{s}", 7, (), "", "", "", 200, 1)
        for s in (-9, 4)
    )

    assert provenance.nearest([early, late], AT) is late
    assert provenance.nearest([], AT) is None


def test_the_sites_line_is_the_nearest_that_shows_the_same_list() -> None:
    other, later, right = event(0, ("x",)), event(90), event(-2)

    assert provenance.site_event(SERVED, [other, later, right]) is right
    assert provenance.site_event(SERVED, [other]) is None


def test_a_whole_chain_is_laid_out_link_by_link() -> None:
    titles = [section.title for section in provenance.render(CHAIN)]

    assert titles == ["recommendation", "site", "function", "release", "model", "data set"]


@pytest.mark.parametrize(
    "fact",
    [
        "[recommendation] id: id-1",
        "[recommendation] movies: a+1999, b+2000",
        "[site] line: 2026-11-20T10:15:00.250,7,recommendation request host:8082, status 200, "
        "result: a+1999, b+2000, 12 ms",
        "[site] Kafka: partition 0, offset 4711",
        "[function] version: movierec-api:12",
        "[function] code: abc123",
        "[release] weigh: 2026-11-20T09:00:00: version 12 gets 25% (fine so far)",
        f"[model] version: {MODEL}",
        "[model] code: abc123 with local changes",
        "[model] libraries: python 3.13.0, numpy 2.3",
        "[model] offline, model: ndcg 0.1235",
        "[data set] lake versions: events 41",
        "[data set] partition 0: 0..99, 100 rows",
        "[data set] rows: watch 90, rate 10",
        "[data set] events: 2026-09-21T",
    ],
)
def test_every_fact_of_the_chain_is_shown(fact: str) -> None:
    assert fact in text(CHAIN)


def test_a_chain_that_ends_early_says_why() -> None:
    chain = Chain(SERVED, missing=("the function: the proxy answered",))

    assert [section.title for section in provenance.render(chain)] == ["recommendation", "missing"]
    assert "the proxy answered" in text(chain)


def test_a_chain_is_plain_json() -> None:
    found = json.loads(json.dumps(provenance.to_json(CHAIN)))

    assert found["served"]["served_at"] == "2026-11-20T10:15:00.250000+00:00"
    assert found["site_line"].startswith("2026-11-20T10:15:00.250,7,recommendation request")
    assert found["model"]["dataset_id"] == found["dataset"]["dataset_id"]
    assert json.loads(json.dumps(provenance.to_json(Chain(SERVED))))["function"] is None


# Checks


def failed(checks: tuple[Check, ...]) -> list[str]:
    return [check.name for check in checks if not check.ok]


def test_files_that_are_what_the_manifest_says_pass() -> None:
    assert failed(provenance.check_files("model", MODEL_MANIFEST, {"topk.npy": SUM})) == []


@pytest.mark.parametrize("found", [{}, {"topk.npy": artifact.checksum(b"other")}])
def test_a_missing_or_changed_file_fails(found: dict[str, Any]) -> None:
    assert failed(provenance.check_files("model", MODEL_MANIFEST, found)) == ["model topk.npy"]


@pytest.mark.parametrize(
    ("counted", "names"),
    [
        ({"watch": 90, "rate": 10}, []),
        ({"watch": 89, "rate": 10}, ["lake rows, watch"]),
        ({"watch": 90}, ["lake rows, rate"]),
        ({"watch": 90, "rate": 10, "recommend": 1}, ["lake rows, recommend"]),
    ],
)
def test_rows_are_compared_by_kind_in_both_directions(
    counted: dict[str, int], names: list[str]
) -> None:
    assert failed(provenance.check_rows(DATASET_MANIFEST, counted)) == names


@pytest.mark.parametrize(
    ("offsets", "names"),
    [
        ({"0": {"first": 0, "last": 99, "rows": 100}}, []),
        ({"0": {"first": 0, "last": 98, "rows": 100}}, ["partition 0"]),
        ({}, ["partition 0"]),
        (
            {
                "0": {"first": 0, "last": 99, "rows": 100},
                "1": {"first": 0, "last": 0, "rows": 1},
            },
            ["partition 1"],
        ),
    ],
)
def test_offsets_are_compared_by_partition_in_both_directions(
    offsets: dict[str, Any], names: list[str]
) -> None:
    assert failed(provenance.check_offsets(DATASET_MANIFEST, offsets)) == names


@pytest.mark.parametrize(
    ("again", "ok"), [(MOVIES, True), (MOVIES[:1], False), (MOVIES[::-1], False), ((), False)]
)
def test_the_model_must_answer_the_same_list_in_the_same_order(
    again: tuple[str, ...], ok: bool
) -> None:
    assert provenance.check_answer(SERVED, Ranked(again, "model")).ok is ok


def test_each_link_must_be_the_one_that_the_link_before_names() -> None:
    assert failed(provenance.check_links(CHAIN)) == []
    strange = Chain(
        SERVED,
        function=Function("f", "12", "", "", "other", "", ""),
        model={**MODEL_MANIFEST, "model_version": "other"},
        dataset={**DATASET_MANIFEST, "dataset_id": "other"},
    )
    assert failed(provenance.check_links(strange)) == [
        "model of the function",
        "model",
        "data set",
    ]


def test_an_unpinned_function_is_no_broken_link() -> None:
    latest = Function("f", "$LATEST", "", "", "", "", "")

    assert failed(provenance.check_links(Chain(SERVED, function=latest))) == []
