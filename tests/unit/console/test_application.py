"""What holds for every page: headers, refreshes, addresses, faults."""

import hashlib
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.console import recorded
from tests.unit.console.browser import FILES, PAGES, Browser

KINDS = {
    "busy": recorded.busy,
    "empty": recorded.empty,
    "failing": lambda: recorded.busy().fail(),
}


# Read when tests are collected: a unit test opens no file.
_TABLE = Path(__file__).parents[3] / "console" / "static" / "vendor" / "README.md"
VENDORED = [line for line in _TABLE.read_text().splitlines() if line.startswith("| `")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.parametrize("kind", KINDS)
def test_every_page_has_what_a_screen_reader_and_a_strict_policy_need(browse, page, kind):
    found = browse(KINDS[kind]()).get(page.path)

    assert found.status == 200
    assert '<html lang="en">' in found.text
    assert found.text.count("<h1") == 1
    assert "<main" in found.text
    assert 'aria-live="polite"' in found.text
    assert f'href="{page.path}" aria-current="page"' in found.text
    assert found.text.count("<table") == found.text.count("<caption")
    assert not re.search(r"<script(?![^>]* src=)[^>]*>|\son[a-z]+=|\sstyle=", found.text)
    assert "fault of the console" not in found.text
    titles = re.findall(r'id="title-([a-z-]+)"', found.text)
    assert titles == [panel.name for panel in page.panels]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_panel_refreshes_by_itself(browse, page):
    browser = browse(recorded.busy())
    for panel in page.panels:
        address = re.search(
            rf'id="panel-{panel.name}".*?hx-get="([^"]+)"', browser.get(page.path).text, re.DOTALL
        )
        assert address
        found = browser.get(address[1].replace("&amp;", "&"))
        assert found.status == 200
        assert found.text.strip().startswith("<section")
        assert f'id="panel-{panel.name}"' in found.text


def test_ids_of_panels_are_unique_on_their_page():
    for page in PAGES:
        names = [panel.name for panel in page.panels]
        assert len(names) == len(set(names))


def test_pages_are_found_by_being_there():
    assert [page.order for page in PAGES] == sorted({page.order for page in PAGES})
    assert {f"{page.name}.html" for page in PAGES} <= set(FILES.templates)


def test_every_answer_has_a_strict_policy(browse, busy):
    browser = browse(busy)
    for path in ("/", "/nothing", "/static/console.js", "/panels/overview/alarms"):
        found = browser.get(path)
        policy = found.header("content-security-policy")
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert found.header("x-content-type-options") == "nosniff"
        assert found.header("cache-control")
    assert browser.get("/").header("cache-control") == "no-store"


def test_static_files_are_kept_by_browsers_until_they_change(browse, busy):
    browser = browse(busy)
    addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', browser.get("/").text)

    assert len(addresses) == 6
    for address in addresses:
        found = browser.get(address)
        assert found.status == 200
        assert "immutable" in found.header("cache-control")
    assert browser.get("/static/../page.py").status == 404


@pytest.mark.parametrize(
    "path", ["/nothing", "/panels/overview/nothing", "/panels/nothing/alarms", "/static/none.js"]
)
def test_an_address_of_nothing_says_so(browse, busy, path):
    found = browse(busy).get(path)

    assert found.status == 404
    assert "There is nothing at this address." in found.words


def test_a_fault_of_a_panel_is_that_panels_alone(browse, busy):
    busy.health = {"lag_s": "soon"}

    found = browse(busy).get("/")

    assert found.status == 200
    assert "a fault of the console itself" in found.panel("lag")
    assert "99.77%" in found.panel("service")


def test_what_stands_in_the_data_is_no_markup(browse, busy):
    busy.health = {**recorded.HEALTH, "failing": '<script>alert("x")</script>'}

    found = browse(busy).get("/")

    assert "<script>alert" not in found.text
    assert '<script>alert("x")</script>' in found.panel("lag")


def test_many_browsers_ask_the_system_once(busy):
    asked = []

    def health():
        asked.append(1)
        return recorded.HEALTH

    system = replace(busy.system, ingest=health)
    with Browser(system) as browser:
        for _ in range(5):
            assert browser.get("/panels/overview/lag").status == 200
    assert len(asked) == 1


def test_a_slow_part_blocks_nobody(busy):
    """The page comes without it; whoever asks for another panel is answered."""
    go_on, executor = threading.Event(), ThreadPoolExecutor(2)

    def slow():
        go_on.wait(20)
        return recorded.HEALTH

    with Browser(replace(busy.system, ingest=slow), executor=executor) as browser:
        page = browser.get("/")
        assert "Reading…" in page.panel("lag")
        assert "99.77%" in page.panel("service")
        assert 'hx-trigger="load"' in page.text
        assert "1 of 7 ring" in browser.get("/panels/overview/alarms").panel("alarms")
        go_on.set()
        assert "2 s good" in browser.get("/panels/overview/lag").panel("lag")
    executor.shutdown()


def test_vendored_files_are_those_of_the_table():
    for name, file in FILES.static.items():
        if name.startswith("vendor/"):
            row = next(line for line in VENDORED if f"`{name.removeprefix('vendor/')}`" in line)
            assert hashlib.sha256(file.body).hexdigest() in row
    assert len(VENDORED) == 3
