"""A journal that an earlier proxy left behind, with records that the lake does not have yet."""

import asyncio
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from movierec.testing.memory import MemoryLake
from proxy.journal_record import from_line, to_columns
from tests.contract.proxy_harness import DETAIL, Upstream, get, health, running, settings
from tests.contract.proxy_journal_harness import shipped

LEFT_BEHIND = Path(__file__).parents[1] / "fixtures" / "proxy_journal" / "journal"

IDS = [f"5f1c9e0a7d4b4c1e9a3f6b2d8e7c0a1{i}" for i in range(6)]

FIRST = 1_795_169_700_000_000


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(LEFT_BEHIND, tmp_path / "proxy-1" / "journal")
    return tmp_path


def started_and_stopped(folder, lake, requests=0):
    """Run a proxy on the folder until it ends; return the ids that it answered with."""

    async def story():
        upstream = Upstream()
        async with upstream.listening(), running(settings(folder, upstream), lake) as port:
            backlog = await health(port, "backlog_records")
            answers = [await get(port) for _ in range(requests)]
            return backlog, [headers["X-Recommendation-Id"] for _, _, headers in answers]

    return asyncio.run(story())


def test_its_records_are_shipped_once_and_new_ones_after_them(folder):
    lake = MemoryLake()
    backlog, answered = started_and_stopped(folder, lake, requests=2)
    assert backlog == 6
    assert shipped(lake) == [*IDS, *answered]
    assert started_and_stopped(folder, lake.rival()) == (0, [])
    assert shipped(lake) == [*IDS, *answered]


def test_a_record_arrives_as_it_was_written(folder):
    lake = MemoryLake()
    started_and_stopped(folder, lake)
    row = lake.rows("served")[3]
    assert row["served_at"] == datetime(2026, 11, 20, 10, 15, 0, 150_000, UTC)
    assert (row["user_id"], row["source"], row["function_version"]) == (9, "fallback", "")
    assert row["movie_ids"] == ["the+matrix+1999", "fail-safe+1964", "amélie+2001"]
    assert (row["model_version"], row["status"]) == ("m-20261120T101500Z", 200)
    assert row["latency_ms"] == 401.072


def test_records_of_before_have_no_detail_and_those_after_them_have_one(folder):
    lake = MemoryLake()
    started_and_stopped(folder, lake, requests=1)
    details = [row["detail"] for row in lake.rows("served")]
    assert details == [None] * len(IDS) + [DETAIL]


def test_what_the_lake_has_already_is_not_shipped_again(folder):
    """The earlier proxy died after its commit, before it removed the file."""
    lake = MemoryLake()
    lines = (LEFT_BEHIND / f"{FIRST:019d}.jsonl").read_bytes().splitlines()
    rows = to_columns([record for _, record in filter(None, map(from_line, lines))])
    lake.append("served", [rows], transactions={"proxy-1": FIRST + 3})
    started_and_stopped(folder, lake.rival())
    assert shipped(lake) == IDS
