"""The guard of the unit tests, given events that nothing has done."""

import asyncio
import linecache
import os
import socket
import sysconfig
from pathlib import Path

import pytest
from hypothesis import database

from tests.unit.no_io import Guard, ImpureTestError, breach

READ, WRITE = os.O_RDONLY | os.O_CLOEXEC, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
STDLIB = sysconfig.get_path("stdlib")
INSTALLED = f"{sysconfig.get_path('purelib')}/botocore/data/lambda/service-2.json"
HERE = __file__


@pytest.mark.parametrize(
    ("event", "args", "told"),
    [
        ("open", ("/etc/hosts", "r", READ), "open /etc/hosts"),
        ("open", (b"notes.txt", "r", READ), "open notes.txt"),
        ("open", ("/checkout/src/movierec/als.py", "r", READ), "als.py"),
        ("open", (f"{STDLIB}/../secret", "r", READ), "secret"),
        ("open", (f"{STDLIB}-not/file", "r", READ), "not/file"),
        ("open", (INSTALLED, "w", WRITE), "service-2.json"),
        ("open", (5, "w", WRITE), "open 5"),
        ("os.remove", (INSTALLED, -1), "os.remove"),
        ("os.rename", ("/checkout/new", os.devnull, -1, -1), "/checkout/new /dev/null"),
        ("os.listdir", (".",), "os.listdir ."),
        ("os.scandir", (Path("/checkout"),), "os.scandir /checkout"),
        ("os.mkdir", ("/checkout/var", 511, -1), "os.mkdir /checkout/var"),
        ("os.fork", (), "os.fork"),
        ("os.kill", (1, 9), "os.kill 1 9"),
        ("os.system", (b"true",), "os.system true"),
        ("subprocess.Popen", ("git", ["git"], None, None), "subprocess.Popen git"),
        ("tempfile.mkdtemp", ("/scratch/t",), "tempfile.mkdtemp /scratch/t"),
        ("shutil.rmtree", ("/checkout/var", None), "shutil.rmtree"),
        ("sqlite3.connect", (":memory:",), "sqlite3.connect"),
        ("socket.__new__", (None, socket.AF_INET, 1, 0), "socket.__new__"),
        ("socket.__new__", (None, socket.AF_UNIX, 1, 0), "socket.__new__"),
        ("socket.connect", (None, ("127.0.0.1", 1)), "127.0.0.1"),
        ("socket.bind", (None, ("127.0.0.1", 0)), "socket.bind"),
        ("socket.getaddrinfo", ("localhost", 80, 0, 0, 0), "socket.getaddrinfo localhost"),
        ("time.sleep", (0.1,), "time.sleep 0.1"),
    ],
)
def test_io_is_told_by_its_event_and_its_place(event, args, told):
    assert told in str(breach(event, args, {HERE}))


@pytest.mark.parametrize(
    ("event", "args"),
    [
        ("open", (os.devnull, "w", WRITE)),
        ("open", ("/proc/self/maps", "r", READ)),
        ("open", (INSTALLED, "r", READ)),
        ("open", (f"{STDLIB}/this.py", "rb", READ)),
        ("os.listdir", (str(Path(INSTALLED).parent),)),
        ("os.putenv", (b"A", b"1")),
        ("import", ("json", None, [], [], [])),
        ("sys._getframe", (None,)),
    ],
)
def test_reading_what_is_installed_is_no_io_of_the_test(event, args):
    assert breach(event, args, {HERE}) is None


@pytest.mark.parametrize(
    "caller", ["<frozen importlib._bootstrap>", linecache.__file__, database.__file__]
)
def test_imports_tracebacks_and_hypothesis_may_do_what_they_must(caller):
    args = ("/checkout/src/movierec/als.py", "rb", READ)
    assert breach("open", args, {HERE, caller}) is None


def test_an_event_loop_may_have_the_pair_that_wakes_it():
    """This one is watched by the guard itself."""
    asyncio.run(asyncio.sleep(0))


def test_outside_of_a_test_nothing_is_refused():
    Guard().hook("time.sleep", (1,))


def test_a_refusal_that_is_swallowed_comes_again_at_the_end():
    guard = Guard()
    with pytest.raises(ImpureTestError, match=r"open /etc/hosts; .* tests/contract"):  # noqa: SIM117
        with guard.watching():
            with pytest.raises(ImpureTestError):
                guard.hook("open", ("/etc/hosts", "r", READ))
    guard.hook("open", ("/etc/hosts", "r", READ))
