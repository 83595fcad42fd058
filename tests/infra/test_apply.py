"""An apply as a process: a stand-in for Terraform that tells what a script says."""

import json
import os
import stat
import sys
import threading

import pytest

from movierec.errors import ConfigError, UnavailableError
from movierec.stack.deploy.terraform import Progress, Workspace, forget
from movierec.stack.layout import Project
from movierec.stack.processes.client import Client

# Reads lines from a FIFO until its writer closes it; the last word is the exit code. An interrupt
# ends it as it ends Terraform: with a diagnostic.
STAND_IN = """#!{python} -I
import json, os, signal, sys

print("session", os.getsid(0), flush=True)

def stop(*_):
    told = {{"severity": "error", "summary": "operation was canceled"}}
    # The interrupt may have come in the middle of a print.
    os.write(1, json.dumps({{"type": "diagnostic", "diagnostic": told}}).encode() + b"\\n")
    os._exit(1)

signal.signal(signal.SIGINT, stop)
for line in open({script!r}, encoding="utf-8"):
    if line.startswith("exit "):
        sys.exit(int(line.split()[1]))
    print(line, end="", flush=True)
"""

WAIT_S = 20


def about(type_, address):
    return {"type": type_, "hook": {"action": "create", "resource": {"addr": address}}}


def planned(*addresses):
    changes = [{"action": "create", "resource": {"addr": address}} for address in addresses]
    plan = {"type": "change_summary", "changes": {"operation": "plan"}}
    return [*({"type": "planned_change", "change": change} for change in changes), plan]


def error(summary):
    return {"type": "diagnostic", "diagnostic": {"severity": "error", "summary": summary}}


class Script:
    """What the stand-in is to say, a line at a time."""

    def __init__(self, path):
        self.pipe = path.open("w", encoding="utf-8")

    def say(self, *messages):
        self.pipe.writelines(json.dumps(message) + "\n" for message in messages)
        self.pipe.flush()

    def end(self, code=0):
        self.pipe.write(f"exit {code}\n")
        self.pipe.close()


@pytest.fixture
def started(tmp_path):
    """Return an apply that is under way, and its script."""
    fifo = tmp_path / "script"
    os.mkfifo(fifo)
    stand_in = tmp_path / "bin" / "terraform"
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN.format(python=sys.executable, script=str(fifo)), encoding="utf-8")
    stand_in.chmod(stat.S_IRWXU)
    env = {"PATH": str(stand_in.parent)}
    log = tmp_path / "logs" / "terraform.log"
    with Client(Project(tmp_path).run("test")) as client:
        apply = Workspace(tmp_path / "work", env, log, stream=client.stream).apply()
        script = Script(fifo)
        with apply:
            yield apply, script
    script.pipe.close()


def test_one_goes_on_when_what_one_needs_is_there(started):
    apply, script = started
    script.say(*planned("bucket.a", "rule.a"), about("apply_complete", "bucket.a"))

    apply.wait_for({"bucket.a"})

    assert apply.progress.pending == {"rule.a"}
    script.say(about("apply_complete", "rule.a"))
    script.end()
    assert apply.result().done == {"bucket.a", "rule.a"}


def test_the_first_failure_ends_the_wait_and_the_rest(started):
    """Nobody ends the script: it is the interrupt that does."""
    apply, script = started
    script.say(*planned("bucket.a", "rule.a"), error("InvalidRule: no such thing"))
    script.say(about("apply_errored", "rule.a"))

    with pytest.raises(ConfigError, match="InvalidRule") as raised:
        apply.wait_for({"bucket.a"})

    assert "canceled" not in str(raised.value)


def test_a_failure_in_the_plan_reaches_who_waits(started):
    apply, script = started
    script.say(error("connection refused"))
    script.end(1)

    with pytest.raises(UnavailableError, match="movierec status"):
        apply.wait_for({"bucket.a"})


def test_what_is_no_message_is_logged_and_passed_over(started):
    apply, script = started
    script.pipe.write('panic: oh\n"a string"\n')
    script.say(*planned("bucket.a"), about("apply_complete", "bucket.a"))
    script.end()

    assert apply.result().done == {"bucket.a"}
    assert "panic: oh\n" in (apply.log).read_text(encoding="utf-8")


def test_a_watcher_sees_the_end(started):
    apply, script = started
    seen: list[Progress] = []
    watcher = threading.Thread(target=apply.watch, args=(seen.append,))
    watcher.start()
    script.say(*planned("bucket.a"), about("apply_complete", "bucket.a"))
    script.end()
    watcher.join(WAIT_S)

    assert not watcher.is_alive()
    assert seen[-1].done == {"bucket.a"}


def test_leaving_the_block_stops_it(started):
    apply, script = started
    script.say(*planned("bucket.a"))

    apply.stop()

    with pytest.raises(ConfigError, match="canceled"):
        apply.result()


def test_an_interrupt_of_the_terminal_does_not_reach_it(started):
    """Ctrl-C goes to the terminal's session; Terraform is to get it from us, once."""
    apply, script = started
    script.end()
    apply.result()

    first, *_ = apply.log.read_text(encoding="utf-8").splitlines()
    assert first.startswith("session ")
    assert first != f"session {os.getsid(0)}"


def test_without_terraform_one_is_told_what_to_do(tmp_path):
    workspace = Workspace(tmp_path, {"PATH": ""}, tmp_path / "log")

    with pytest.raises(ConfigError, match="make setup"):
        workspace.apply()


def test_staging_again_drops_what_is_gone_and_keeps_the_state(tmp_path):
    source, workspace = tmp_path / "source", Workspace(tmp_path / "work", {}, tmp_path / "log")
    root = source / "envs" / "local"
    root.mkdir(parents=True)
    (root / "main.tf").touch()
    (root / "old.tf").touch()
    workspace.stage(source, {"code_version": "a"})
    (workspace.root / "terraform.tfstate").write_text("{}", encoding="utf-8")
    (root / "old.tf").unlink()

    workspace.stage(source, {"code_version": "b"})

    variables = "movierec.auto.tfvars.json"
    assert {p.name for p in workspace.root.iterdir()} == {"main.tf", "terraform.tfstate", variables}
    assert json.loads((workspace.root / variables).read_text(encoding="utf-8")) == {
        "code_version": "b"
    }
    forget(workspace.folder)
    assert {path.name for path in workspace.root.iterdir()} == {"main.tf", variables}
