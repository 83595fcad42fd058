"""`movierec catalog sync`: what the site answered is in the lake, whatever ends the command."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from movierec import settings
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.lake_catalog import LakeCatalog
from movierec.cli import catalog, catalog_sync
from movierec.errors import UnavailableError
from movierec.runtime.clock import SystemClock
from movierec.site.api_client import SiteClient
from movierec.site.request_plan import Patience
from movierec.site.unknown_ids import KEY, UnknownIds
from movierec.stack.progress import Progress
from movierec.testing.memory import FakeClock, MemoryStore
from tests.contract import site_stub, stored_before

QUICK = Patience(first_wait_s=0.01, longest_wait_s=0.05)
FILMS = [f"film+{i}+2001" for i in range(900)]
USERS = range(1, 301)
TYPOS = [f"typo+{i}+2001" for i in range(3)]


def watched(lake, films, users):
    """Store an event for each film, and one for each user."""
    pairs = [*((film, 1) for film in films), *((films[0], user) for user in users)]
    events = {
        "kind": ["watch"] * len(pairs),
        "event_date": np.repeat(np.array(["2026-11-20"], "datetime64[D]"), len(pairs)),
        "event_time": np.repeat(np.array(["2026-11-20T10:15"], "datetime64[us]"), len(pairs)),
        "user_id": np.array([user for _, user in pairs]),
        "movie_id": [film for film, _ in pairs],
        "minute": np.full(len(pairs), 1),
    }
    lake.append("events", [events], transactions={})
    return lake


@pytest.fixture
def site():
    with site_stub.serving(site_stub.Site(FILMS, USERS)) as found:
        yield found


@pytest.fixture
def lake(tmp_path):
    return watched(DeltaLake(str(tmp_path / "lake")), [*FILMS, *TYPOS], USERS)


@pytest.fixture
def store():
    return MemoryStore()


def sync(lake, site, store, clock=None, **options):
    clock = clock or SystemClock()
    client = SiteClient(site.url, clock, patience=QUICK)
    unknown = UnknownIds(store, client.url)
    steps = []
    report = catalog_sync.run(
        lake, client, unknown, clock, lambda *step: steps.append(step), **options
    )
    return report, steps


def stored(lake, table="movies", column="movie_id"):
    if not lake.count(table):
        return set()
    found = lake.query(f"select {column} from {table}", {table: None})  # noqa: S608  ours
    ids = found.column(column).to_pylist()
    assert len(ids) == len(set(ids))
    return set(ids)


def test_what_the_lake_names_is_asked_for_once(lake, site, store):
    report, steps = sync(lake, site, store)
    assert report == {
        "movies": {"rows": 900, "rejected": {"not_found": 3}},
        "users": {"rows": 300, "rejected": {}},
    }
    assert stored(lake) == set(FILMS)
    assert stored(lake, "users", "user_id") == set(USERS)
    assert (steps[-1], (903, 903, "movies") in steps) == ((300, 300, "users"), True)
    known = LakeCatalog(lake)()
    assert known is not None
    assert set(known.runtime_minutes.values()) == {0}
    before = len(site.requests)
    assert sync(lake, site, store)[0] == {
        "movies": {"rows": 0, "rejected": {"not_asked": 3}},
        "users": {"rows": 0, "rejected": {}},
    }
    assert len(site.requests) == before


def test_what_the_site_did_not_know_is_asked_for_again_after_a_while(lake, site, store):
    clock = FakeClock()
    sync(lake, site, store, clock)
    site.known["movie"].add(TYPOS[0])
    clock.advance(3601)
    assert sync(lake, site, store, clock)[0]["movies"] == {
        "rows": 1,
        "rejected": {"not_found": 2},
    }
    assert set(json.loads(store.get(KEY))["unknown"]["movie"]) == set(TYPOS[1:])


def test_an_id_of_megabytes_is_not_asked_for(lake, site, store):
    watched(lake, ["x" * 1_000_000], [1])
    assert sync(lake, site, store)[0]["movies"] == {"rows": 900, "rejected": {"not_found": 3}}


def test_a_lake_of_before_gets_the_new_columns(tmp_path, store):
    lake = watched(stored_before.lake(tmp_path / "lake"), FILMS[:5], [900_001])
    with site_stub.serving(site_stub.Site(FILMS, [900_001])) as site:
        report, _ = sync(lake, site, store)
    assert (report["movies"]["rows"], report["users"]["rows"]) == (5, 1)
    rows = lake.query(
        "select cost_usd, count(*) n from movies group by 1 order by 1", {"movies": None}
    )
    assert rows.column("cost_usd").to_pylist() == [0.25, None]
    assert len(getattr(LakeCatalog(lake)(), "runtime_minutes", {})) == 45


def test_a_site_that_is_given_up_leaves_what_it_answered(lake, site, store):
    site.fault = lambda ids, _: (403, b"", {}) if FILMS[-1] in ids else None
    with pytest.raises(UnavailableError, match=r"403.*; \d+ rows are stored, the next sync") as at:
        sync(lake, site, store)
    kept = stored(lake)
    assert f"; {len(kept)} rows" in str(at.value)
    assert kept >= set(sorted(FILMS)[:200])
    site.fault = lambda _ids, _: None
    before = len(site.requests)
    sync(lake, site, store)
    assert not kept & {one for _, ids in site.requests[before:] for one in ids}
    assert stored(lake) == set(FILMS)


class Display:
    """Shows nothing."""

    def begin(self, _name):
        return self

    def end(self, *_):
        return

    def update(self, *_):
        return


def test_the_command_keeps_its_rows_and_what_is_unknown_in_the_lakes_bucket(
    site, emulated_aws, bucket, monkeypatch
):
    monkeypatch.setenv(settings.LAKE_BUCKET, bucket)
    lake = watched(DeltaLake.from_env(os.environ), [*FILMS[:250], *TYPOS], [1])
    report = catalog.ask_for_missing(Progress(Display()), f"{site.url}/")
    assert report["movies"] == {"rows": 250, "rejected": {"not_found": 3}}
    assert stored(lake) == set(FILMS[:250])
    again = catalog.ask_for_missing(Progress(Display()), site.url)
    assert again["movies"] == {"rows": 0, "rejected": {"not_asked": 3}}


CHILD = """
import resource, signal, sys
from movierec.aws.delta_lake import DeltaLake
from movierec.cli import catalog_sync
from movierec.errors import MovierecError
from movierec.runtime.clock import SystemClock
from movierec.site.api_client import SiteClient
from movierec.site.unknown_ids import UnknownIds
from movierec.testing.memory import MemoryStore

lake, url, rows, file_bytes = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
if file_bytes:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
clock = SystemClock()
client = SiteClient(url, clock)
unknown = UnknownIds(MemoryStore(), url)
try:
    catalog_sync.run(
        DeltaLake(lake), client, unknown, clock, lambda *_: None, rows_per_commit=rows
    )
except MovierecError as exc:
    sys.exit(str(exc))
"""


def started(lake_folder, site, *, rows=200, file_bytes=0):
    arguments = (str(lake_folder), site.url, str(rows), str(file_bytes))
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


@pytest.fixture
def stuck(site):
    """Have the site stop in the middle; return what is set when it has, and what lets it go on."""
    reached, over = threading.Event(), threading.Event()

    def wait(_handler):
        reached.set()
        over.wait()

    site.fault = lambda ids, _: wait if max(FILMS) in ids else None
    yield reached
    over.set()


def test_after_kill_9_the_next_sync_asks_for_the_rest_alone(lake, site, store, stuck, tmp_path):
    with started(tmp_path / "lake", site) as child:
        assert stuck.wait(60)
        child.kill()
    kept = stored(lake)
    assert kept >= set(sorted(FILMS)[:200])
    assert not set(FILMS) <= kept
    site.fault = lambda _ids, _: None
    before = len(site.requests)
    sync(lake, site, store)
    asked = {one for kind, ids in site.requests[before:] for one in ids if kind == "movie"}
    assert asked == {*FILMS, *TYPOS} - kept
    assert stored(lake) == set(FILMS)


def test_ctrl_c_keeps_what_there_is(lake, site, stuck, tmp_path):
    with started(tmp_path / "lake", site, rows=100_000) as child:
        assert stuck.wait(60)
        assert stored(lake) == set()
        child.send_signal(signal.SIGINT)
        _, printed = child.communicate(timeout=60)
    assert (child.returncode, "KeyboardInterrupt" in printed) == (-signal.SIGINT, True)
    assert stored(lake) >= set(sorted(FILMS)[:200])


def test_a_disk_that_is_full_is_named_in_one_line(lake, site, tmp_path):
    """A limit on the size of files stands for it: the next write is refused as well."""
    with started(tmp_path / "lake", site, file_bytes=4096) as child:
        _, printed = child.communicate(timeout=60)
    assert child.returncode == 1
    (line,) = printed.splitlines()
    assert str(tmp_path / "lake" / "movies") in line
    assert os.strerror(errno.EFBIG) in line
    assert "; 0 rows are stored, the next sync asks for the rest" in line
