"""The command line's edge: exit codes, one line for each failure, JSON and nothing else.

In this process, in a checkout and with servers of the test's own; nothing is started but what a
test starts.
"""

import json
import os
import shlex
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from movierec import settings
from movierec.aws.session import client
from movierec.cli.main import main
from movierec.stack import layout, run_environment
from movierec.stack.layout import Project
from movierec.stack.processes import child_environment

ROOT = Path(__file__).parents[2]


MOVIES = ["[red]x[/red]+2020", "the+cold+bay+", "a:smile:b"]


@pytest.fixture(autouse=True)
def environment_as_before():
    """Commands make their run's surroundings this process's own."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
    client.cache_clear()


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "movierec"\n')
    monkeypatch.setenv(layout.HOME, str(tmp_path))
    return Project(tmp_path)


@pytest.fixture
def movierec(project, monkeypatch, capsys):
    """Return a function that runs a command line: exit code, standard output, standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["movierec", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return run


@pytest.fixture
def closed_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.fixture
def up(project, closed_port):
    """Return a run that is up as far as its settings say: nobody answers anywhere."""
    run = project.run("mine").create()
    nowhere = f"http://127.0.0.1:{closed_port}"
    variables = {
        **child_environment.emulated_aws(nowhere),
        settings.KAFKA_BOOTSTRAP: f"127.0.0.1:{closed_port}",
        settings.PROXY_URL: nowhere,
        settings.SITE_URL: nowhere,
        settings.TOPIC: "movielog1",
        settings.LAKE_BUCKET: "lake",
        settings.ARTIFACTS_BUCKET: "artifacts",
        settings.API_FUNCTION: "movierec-api",
        settings.STATE_MACHINE: "arn:aws:states:us-east-1:000000000000:stateMachine:retrain",
        settings.RELEASE_MACHINE: "arn:aws:states:us-east-1:000000000000:stateMachine:release",
        settings.RELEASES_TOPIC: "arn:aws:sns:us-east-1:000000000000:movierec-releases",
    }
    run_environment.save(run, variables)
    return run, variables


class ProxyStub(BaseHTTPRequestHandler):
    def do_GET(self):
        good = self.path == "/recommend/42"
        self.send_response(200 if good else 400)
        self.send_header("X-Model-Version", "m1")
        self.end_headers()
        self.wfile.write(",".join(MOVIES).encode() if good else b"expected a number\n")

    def log_message(self, *_):
        pass


@pytest.fixture
def proxy_stub(up):
    """Serve a stub at the run's proxy URL."""
    run, variables = up
    with ThreadingHTTPServer(("127.0.0.1", 0), ProxyStub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        run_environment.save(run, variables | {settings.PROXY_URL: url})
        yield url
        server.shutdown()


def assert_one_line(err):
    assert err.startswith("movierec: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nosuch", "No such command 'nosuch'"),
        ("--nosuch", "No such option"),
        ("--run", "requires an argument"),
        ("--run ../up status", "run name '../up'"),
        ("release", "Missing command"),
        ("release nosuch", "movierec release --help"),
        ("release weights", "Missing option '--canary'"),
        ("release weights --canary x", "movierec release weights --help"),
        ("release weights --canary=-1", "greater than or equal to 0"),
        ("release weights --canary 101", "less than or equal to 100"),
        ("release weights --canary nan", "--canary"),
        ("release cut --canary 101", "less than or equal to 100"),
        ("recommend", "Missing argument"),
        ("recommend -1", "No such option"),
        ("provenance --user 0", "greater than or equal to 1"),
        ("provenance --user abc", "valid integer"),
        ("provenance --at yesterday", "--at"),
        ("quarantine replay --reason duplicate", "never events"),
        ("quarantine replay --reason nonsense", "no reason"),
        ("quarantine replay --since yesterday", "--since"),
        ("up extra", "unexpected extra argument"),
        ("up --kafka-nodes 2", "use 1, or 3"),
        ("up --partitions 0", "greater than or equal to 1"),
        ("demo --canary 200", "less than or equal to 100"),
        ("demo --users 0", "greater than or equal to 1"),
        ("catalog load", "nothing to load"),
        ("retrain --train factors", "NAME=VALUE"),
    ],
)
def test_a_wrong_command_line_is_refused_in_one_line(movierec, project, line, words):
    code, out, err = movierec(*line.split())
    assert (code, out) == (2, "")
    assert_one_line(err)
    assert words in err
    assert not (project.root / "var").exists()


LOADED = """
import sys
from movierec.cli.main import main
sys.argv[0] = "movierec"
try:
    main()
finally:
    slow = {"boto3", "botocore", "chalice", "deltalake", "kafka", "numpy"}
    print(sorted(slow & sys.modules.keys()), file=sys.stderr)
"""


@pytest.mark.parametrize("line", ["--help", "--run mine status", "--run mine down", "nosuch"])
def test_a_command_that_needs_no_slow_library_does_not_load_one(project, line):
    """They take longer to import than everything else together."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *line.split()],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_a_name_that_is_nearly_a_commands_is_answered_with_that_command(movierec):
    assert "Did you mean 'status'?" in movierec("statsu")[2]


def test_without_a_command_the_help_is_shown(movierec):
    code, out, err = movierec()
    assert (code, err) == (2, "")
    assert "simulate" in out


@pytest.mark.parametrize(
    "line",
    [
        "env",
        "retrain",
        "recommend 42",
        "provenance --user 42",
        "release show",
        "release cut",
        "catalog sync",
        "simulate --backfill 1",
    ],
)
def test_a_run_that_is_not_up_is_named_with_what_starts_it(movierec, project, line):
    code, out, err = movierec("--run", "mine", *line.split())
    assert (code, out) == (3, "")
    assert_one_line(err)
    assert "run mine is not up: start it with `movierec up`" in err
    assert not (project.root / "var").exists()


def test_the_status_of_a_run_that_was_never_up_is_json_all_the_same(movierec):
    code, out, err = movierec("--json", "status")
    found = json.loads(out)
    assert code == 3
    assert not found["ok"]
    assert not any(part["up"] for part in found["parts"].values())
    assert_one_line(err)


def test_what_runs_but_does_not_answer_is_no_part_that_is_up(movierec, up):
    code, out, _ = movierec("--run", "mine", "--json", "status")
    assert code == 3
    assert json.loads(out)["endpoints"]["proxy"].startswith("http://127.0.0.1:")


def test_to_stop_what_was_never_up_is_no_failure(movierec):
    assert json.loads(movierec("--json", "down")[1])["stopped"] == []
    assert movierec("down", "--wipe")[:2] == (0, "run default was never up\n")


@pytest.mark.parametrize("line", ["recommend 42", "release show", "release promote", "retrain"])
def test_a_server_that_is_not_there_is_named_with_what_to_look_at(movierec, up, line):
    code, out, err = movierec("--run", "mine", *line.split())
    assert (code, out) == (3, "")
    last = err.splitlines()[-1]
    assert "no answer" in last
    assert "`movierec status`" in last


def test_a_kafka_that_is_not_there_need_not_be_waited_for(movierec, up):
    """Be it the run's own or another's: its address is named."""
    _, variables = up
    kafka = variables[settings.KAFKA_BOOTSTRAP]
    code, _, err = movierec("retrain", "--run", "mine")
    assert code == 3
    assert f"kafka at {kafka}: no answer" in err.splitlines()[-1]
    assert "`movierec retrain --no-wait`" in err.splitlines()[-1]
    without = movierec("retrain", "--no-wait", "--run", "mine")[2].splitlines()[-1]
    assert f"kafka at {kafka}" not in without
    assert variables[settings.STATE_MACHINE] in without


@pytest.mark.parametrize(
    ("variable", "line"),
    [
        (settings.PROXY_URL, "recommend 42"),
        ("AWS_ENDPOINT_URL", "release show"),
        (settings.SITE_URL, "catalog load --movies http://[/x"),
    ],
)
def test_an_address_that_is_none_is_refused_in_one_line(movierec, up, variable, line):
    run, variables = up
    run_environment.save(run, variables | {variable: "nonsense"})
    code, out, err = movierec("--run", "mine", *line.split())
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("movierec: ")
    assert "Traceback" not in err


def test_an_export_that_holds_nothing_is_refused(movierec, up, tmp_path):
    nothing = tmp_path / "passwd"
    nothing.write_text("root:x:0:0\n")
    code, _, err = movierec("--run", "mine", "catalog", "load", "--movies", str(nothing))
    assert code == 2
    assert f"nothing was loaded from {nothing}" in err.splitlines()[-1]


def test_recommendations_are_printed_as_they_came(movierec, proxy_stub):
    code, out, err = movierec("--run", "mine", "recommend", "42")
    assert (code, err) == (0, "")
    assert [line.split(maxsplit=1)[1] for line in out.splitlines()[: len(MOVIES)]] == MOVIES


def test_json_is_all_there_is_on_standard_output(movierec, proxy_stub):
    code, out, err = movierec("--run", "mine", "--json", "recommend", "42")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"user_id": 42, "movies": MOVIES, "model_version": "m1"}


@pytest.mark.parametrize(
    "user", ["abc", "0", "99999999999999999999", "", " 7 ", "../x", "x" * 10_000]
)
def test_a_user_that_is_none_is_refused_in_the_servers_words(movierec, proxy_stub, user):
    code, out, err = movierec("--run", "mine", "recommend", user)
    assert (code, out) == (2, "")
    assert_one_line(err)
    assert "400 expected a number" in err
    assert movierec("--run", "mine", "recommend", "42")[0] == 0


def test_the_surroundings_are_printed_for_a_shell_and_for_machines(movierec, up):
    _, variables = up
    expected = {"MOVIEREC_RUN": "mine", **variables}
    lines = movierec("--run", "mine", "env")[1].splitlines()
    exported = (shlex.split(line)[1].partition("=") for line in lines)
    assert {name: value for name, _, value in exported} == expected
    assert json.loads(movierec("--run", "mine", "--json", "env")[1]) == expected


def test_a_run_that_is_named_goes_before_the_shells_surroundings(movierec, up, monkeypatch):
    """Else `--run other retrain` would train on the lake of the run that the shell is in."""
    for name, value in up[1].items():
        monkeypatch.setenv(name, value)
    assert "run other is not up" in movierec("--run", "other", "recommend", "42")[2]
    assert "no answer" in movierec("recommend", "42")[2]


def test_a_folder_that_cannot_be_made_is_named(movierec, project):
    (project.root / "var").write_text("a file where the runs' folders belong")
    code, out, err = movierec("up")
    assert (code, out) == (2, "")
    assert_one_line(err)
    assert str(project.root / "var") in err


def test_settings_that_are_none_are_named(movierec, up):
    run, _ = up
    (run.folder / "settings.json").write_text("{")
    code, _, err = movierec("--run", "mine", "recommend", "42")
    assert code == 2
    assert_one_line(err)
    assert "delete it, then `movierec up`" in err


def test_a_reader_that_has_gone_makes_no_traceback(up):
    """As in `movierec env | true`."""
    run, _ = up
    command = [sys.executable, "-m", "movierec.cli.main", "--run", "mine", "env"]
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        command,
        cwd=run.project.root,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, "")
