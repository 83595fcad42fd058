"""The README's "Use it", line by line, in one shell: made small by the environment alone."""

import os
import re
import select
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest

from movierec import settings
from movierec.cli.context import RUN
from movierec.errors import UnavailableError
from movierec.stack import loopback_ports, run_environment
from movierec.stack.layout import Project

ROOT = Path(__file__).parents[2]
EVENTS = 60_000
SIZES = {
    settings.SIMULATOR_USERS: "2000",
    settings.SIMULATOR_MOVIES: "3000",
    settings.SIMULATOR_EVENTS: str(EVENTS),
}
WITHIN_S = 300

# Every other run than `default` has ports of its own.
SITE = f"http://127.0.0.1:{loopback_ports.WELL_KNOWN[loopback_ports.SITE]}"


def block():
    """Return the lines of the README's block."""
    _, _, below = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Use it\n")
    found = re.search(r"(?:^    .+\n)+", below, re.MULTILINE)
    assert found
    return [line.strip() for line in found[0].splitlines()]


LINES = block()


class Shell:
    """A shell that takes one line at a time; what its commands print is in a file."""

    def __init__(self, env, log):
        self._log = log
        self._codes, codes = os.pipe()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                ["bash"],
                cwd=ROOT,
                env=env,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[codes],
                start_new_session=True,
            )
        os.close(codes)
        self._ask_code = f"\necho $? >&{codes}\n"

    def type(self, line):
        """Run a line; return its exit code, and what was printed until it ended."""
        before = self._log.stat().st_size
        assert self._process.stdin is not None
        self._process.stdin.write((line + self._ask_code).encode())
        self._process.stdin.flush()
        answered, _, _ = select.select([self._codes], [], [], WITHIN_S)
        assert answered, f"{line}: no end after {WITHIN_S} s\n{self.printed(before)}"
        code = int(os.read(self._codes, 16))
        if line.partition("#")[0].rstrip().endswith("&"):
            self._await_output(before)
        return code, self.printed(before)

    def printed(self, since=0):
        return self._log.read_bytes()[since:].decode()

    def _await_output(self, before):
        """Wait until what runs in the background says that it is there, as a reader would."""
        deadline_s = time.monotonic() + WITHIN_S
        while "\n" not in self.printed(before):
            assert time.monotonic() < deadline_s, "it says nothing"
            time.sleep(0.1)

    def close(self):
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(WITHIN_S)
        assert self._process.stdin is not None
        self._process.stdin.close()
        os.close(self._codes)


@pytest.fixture(scope="module")
def run():
    return Project(ROOT).run(f"readme-{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="module")
def shell(run, chosen, tmp_path_factory):
    env = {**os.environ, **SIZES, **chosen, RUN: run.name}
    found = Shell(env, tmp_path_factory.mktemp("readme") / "shell.log")
    yield found
    found.type("kill $(jobs -p); wait")  # they write into the run's folder to their end
    code, said = found.type(f"{ROOT}/.venv/bin/movierec down --wipe")
    found.close()
    assert code == 0, said


def site_of(run):
    """Return where the run's site is, once it is up."""
    try:
        return run_environment.load(run)[settings.SITE_URL]
    except UnavailableError:
        return SITE


@pytest.mark.parametrize("line", LINES, ids=[line.partition("#")[0].strip() for line in LINES])
def test_a_line_of_the_readme_does_what_it_says(line, shell, run):
    code, said = shell.type(line.replace(SITE, site_of(run)))
    assert code == 0, said
    assert "Traceback" not in said
    if line.startswith("movierec provenance"):
        assert_the_model_has_the_whole_history(said)
    if line.startswith("movierec release start"):
        assert_it_ends(shell, said)


def assert_the_model_has_the_whole_history(said):
    """Check that the first retraining waited until the lake had every line of the backfill."""
    found = re.search(r"^  rows +rate (\d+), recommend (\d+), watch (\d+)$", said, re.MULTILINE)
    assert found, said
    assert sum(map(int, found.groups())) >= EVENTS


def assert_it_ends(shell, said):
    """Wait as `start` says to: promoted, or rolled back by its alarm on a machine too busy."""
    watch = re.search(r"`(movierec release watch \S+)`", said)
    assert watch, said
    _, said = shell.type(f"{watch[1]} --json")
    assert re.search(r'"state": "(promoted|rolled back)"', said), said
