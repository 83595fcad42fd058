"""The unit tests' guard, in a pytest of its own: it bites, and lets the rest through."""

import shutil
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

UNIT = Path(__file__).parents[1] / "unit"

IMPURE = """
import asyncio, contextlib, glob, os, socket, sqlite3, subprocess, sys, tempfile, threading, time
from pathlib import Path
import pytest

def in_a_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(attempt(lambda: Path("x").touch())))
    thread.start()
    thread.join()

def attempt(action):
    with contextlib.suppress(Exception):
        action()

async def serve():
    await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)

@pytest.mark.parametrize("action", [
    lambda: open(__file__),
    lambda: Path("new").write_text("x"),
    lambda: Path(".hypothesis.txt").write_text("x"),
    lambda: os.open("new", os.O_CREAT | os.O_WRONLY),
    lambda: os.listdir(),
    lambda: list(Path().iterdir()),
    lambda: glob.glob("*"),
    lambda: os.mkdir("folder"),
    lambda: tempfile.TemporaryFile(),
    lambda: sqlite3.connect("db"),
    lambda: socket.socket(),
    lambda: socket.socketpair(),
    lambda: socket.create_connection(("127.0.0.1", 9)),
    lambda: asyncio.run(serve()),
    lambda: subprocess.run([sys.executable, "-c", ""]),
    lambda: os.system("true"),
    lambda: os.fork() or os._exit(0),
    lambda: time.sleep(0),
    lambda: attempt(lambda: open("swallowed")),
    in_a_thread,
])
def test_impure(action):
    action()

def test_what_the_code_made_of_the_refusal_is_not_the_last_word():
    with pytest.raises(ValueError):
        try:
            open("translated")
        except Exception as exc:
            raise ValueError from exc
"""

SET_UP = """
def test_with_a_folder(tmp_path):
    pass
"""

PURE = """
import asyncio, os, traceback
import pytest
from hypothesis import given, strategies as st

def test_a_lazy_import_by_a_test():
    import helper, xml.dom.minidom
    assert helper.VALUE == 1

def test_a_loop():
    async def double(x):
        await asyncio.sleep(0.001)
        return 2 * x
    assert asyncio.run(double(2)) == 4

def test_an_environment(monkeypatch, capsys, caplog):
    monkeypatch.setenv("A", "1")
    print(os.environ["A"])
    assert capsys.readouterr().out == "1\\n"

def test_a_traceback():
    try:
        1 / 0
    except ZeroDivisionError:
        assert "1 / 0" in traceback.format_exc()

def test_the_null_device():
    open(os.devnull).close()

@given(st.text(), st.emails(), st.characters(codec="utf-8"))
def test_generated(text, address, character):
    assert len(character) == 1
"""

# Hypothesis keeps no examples of its own accord where it finds the variables of a CI server.
FAILING = """
from hypothesis import given, settings, strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase

@settings(database=DirectoryBasedExampleDatabase(".hypothesis/examples"))
@given(st.text())
def test_generated(text):
    assert len(text) < 3
"""


@pytest.fixture
def unit_tests(pytester):
    """Return a function that runs a module among unit tests guarded as ours are."""
    folder = pytester.mkdir("tests").joinpath("unit")
    folder.mkdir()
    for name in ("conftest.py", "no_io.py"):
        shutil.copy(UNIT / name, folder)
    pytester.makeini("[pytest]\npythonpath = .\naddopts = --import-mode=importlib\n")
    pytester.makepyfile(helper="VALUE = 1")

    def run(text):
        folder.joinpath("test_sample.py").write_text(text)
        return pytester.runpytest_subprocess("tests")

    return run


def test_each_kind_of_io_fails_its_test_and_says_where_it_belongs(unit_tests, pytester):
    found = unit_tests(IMPURE)
    found.assert_outcomes(failed=21)
    found.stdout.fnmatch_lines(["*ImpureTestError: a unit test did I/O: open *test_sample.py; *"])
    found.stdout.fnmatch_lines(["*ImpureTestError: a unit test did I/O: open swallowed; *"])
    found.stdout.fnmatch_lines(["*ImpureTestError: a unit test did I/O: open translated; *"])
    assert not any(pytester.path.joinpath(name).exists() for name in ("new", "folder", "db", "x"))


def test_a_fixture_that_makes_a_folder_is_refused(unit_tests):
    unit_tests(SET_UP).assert_outcomes(errors=1)


def test_imports_loops_tracebacks_and_hypothesis_go_on(unit_tests):
    unit_tests(PURE).assert_outcomes(passed=6)


def test_a_counterexample_is_found_and_kept(unit_tests, pytester):
    found = unit_tests(FAILING)
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["*text='000'*"])
    assert "ImpureTestError" not in found.stdout.str()
    assert pytester.path.joinpath(".hypothesis", "examples").is_dir()


def test_a_neighbour_of_the_unit_tests_may_do_all_that(unit_tests, pytester):
    other = pytester.path / "tests" / "contract"
    other.mkdir()
    other.joinpath("test_files.py").write_text(SET_UP)
    unit_tests("def test_nothing():\n    pass\n").assert_outcomes(passed=2)
