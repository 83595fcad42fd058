"""The simulator as a child of a supervisor that ignores SIGINT: either signal ends it in order."""

import json
import signal
import subprocess
import sys

import pytest


def ignore_sigint():
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_either_signal_ends_it_and_its_ledger_is_finished(tmp_path, number):
    ledger = tmp_path / "ledger.json"
    command = [sys.executable, "-m", "simulator", "--site-only", "--site-port=0", "--users=10"]
    with subprocess.Popen(
        [*command, "--movies=100", f"--ledger={ledger}"],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=ignore_sigint,  # noqa: PLW1509  as a shell's background job
    ) as site:
        assert site.stdout is not None
        assert site.stdout.readline().startswith("site: http://127.0.0.1:")
        site.send_signal(number)
        assert site.wait(20) == 0
    assert json.loads(ledger.read_text())["finished"] is True
