"""The whole loop, small, on ports and in a folder of its own; then used as an operator would."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import psutil
import pytest

from bench.stack import playing, stop
from movierec import settings
from movierec.stack import environment, record, surroundings, terraform, trees

ROOT_COMMAND = (sys.executable, "-m", "movierec.cli.main")
SMALL = ("--users=2000", "--movies=3000", "--events=60000", "--days=2", "--requests=40")
WITHIN_S = 60


@pytest.fixture(scope="module")
def stack():
    with playing(*SMALL) as found:
        yield found


@pytest.fixture(scope="module")
def variables(stack):
    return surroundings.load(stack.run)


@pytest.fixture
def movierec(stack):
    """Return a function that runs a command on the stack; its exit code, output and errors."""

    def run(*arguments):
        done = subprocess.run(
            [*ROOT_COMMAND, "--run", stack.run.name, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done

    return run


def get(url, path, method="GET"):
    """Return status, headers and body; the path goes out as it is."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, parts.path + path)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()


def test_the_lake_holds_what_the_site_wrote_exactly(stack):
    """Speed apart, the summary finds nothing wrong: events, quarantine, availability, models."""
    assert stack.summary["problems"] == []
    assert stack.summary["events"]["lake"]["total"] >= 60_000
    assert stack.summary["events"]["lake"] == stack.summary["events"]["produced"]
    assert stack.summary["availability"] == 1.0


def test_every_quarantined_line_was_corrupted_and_the_other_way_round(stack):
    detectable = sum(
        count
        for fates in stack.summary["corrupted"].values()
        for fate, count in fates.items()
        if fate != "silent"
    )
    assert stack.summary["quarantined"]["total"] == detectable > 0


def test_both_models_answered_users_from_the_model(stack):
    versions = [model["version"] for model in stack.summary["models"]]
    assert len(set(versions)) == 2
    answered = stack.summary["requests"]["by_model_and_source"]
    assert all(answered[version]["model"] > 0 for version in versions)


def test_functions_ran_as_processes_not_in_docker(stack):
    """LocalStack only warns about an executor that it does not know, and takes Docker."""
    (emulator,) = (p for p in record.load(stack.run).processes if p.name == "emulator")
    commands = [
        " ".join(p.cmdline()) for p in psutil.Process(emulator.pid).children(recursive=True)
    ]
    assert any("-m awslambdaric" in command for command in commands), commands


def test_a_second_apply_changes_nothing(stack, variables):
    project = stack.run.project
    env = environment.basic(os.environ, path=project.path) | {
        name: value for name, value in variables.items() if name.startswith("AWS_")
    }
    workspace = terraform.Workspace(
        folder=stack.run.terraform,
        env=terraform.configured(env, project.terraform_config),
        log=stack.run.logs / "terraform-again.log",
    )
    assert workspace.plan_is_empty()


def test_status_says_where_everything_answers(movierec):
    done = movierec("--json", "status")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert {"aws", "kafka", "api", "proxy"} <= found["endpoints"].keys()
    assert all(found["endpoints"].values())


def test_a_recommendation_is_traced_to_data_that_still_holds(movierec):
    asked = json.loads(movierec("--json", "recommend", "42").stdout)
    assert 1 <= len(asked["movies"]) == len(set(asked["movies"])) <= 20
    deadline = time.monotonic() + WITHIN_S
    while (
        traced := movierec("--json", "provenance", asked["recommendation_id"], "--verify")
    ).returncode != 0:
        assert time.monotonic() < deadline, traced.stderr
    chain = json.loads(traced.stdout)
    assert chain["served"]["model_version"] == asked["model_version"]
    assert chain["checks"]
    assert all(check["expected"] == check["found"] for check in chain["checks"])


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/recommend/abc", "GET", 400),
        ("/recommend/-1", "GET", 400),
        ("/recommend/0", "GET", 400),
        ("/recommend/99999999999999999999", "GET", 400),
        ("/recommend/", "GET", 400),
        ("/recommend/" + "9" * 10_240, "GET", 414),
        ("/recommend/42", "POST", 405),
        ("/nothing", "GET", 404),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_in_one_line(variables, path, method, status):
    found, _, body = get(variables[settings.PROXY_URL], path, method)
    assert found == status
    assert body.count("\n") <= 1
    assert get(variables[settings.PROXY_URL], "/recommend/42")[0] == 200


def test_a_connection_that_says_nothing_is_closed_and_holds_nobody_up(variables):
    parts = urlsplit(variables[settings.PROXY_URL])
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as silent:
        assert get(variables[settings.PROXY_URL], "/recommend/42")[0] == 200
        # Whatever it is told first, it is hung up on in the end.
        while silent.recv(4096):
            pass


def test_the_api_itself_refuses_what_makes_no_sense(variables):
    status, _, body = get(variables[settings.API_URL], "/recommend/abc")
    assert status == 400
    assert "positive integer" in body


def test_a_canary_gets_its_share_and_none_after_a_rollback(movierec, stack, variables):
    old = stack.summary["models"][0]["version"]
    cut = json.loads(movierec("--json", "release", "cut", "--model", old, "--canary", "50").stdout)
    assert cut["canary_percent"] == 50
    assert models_that_answer(variables, 40) == {m["version"] for m in stack.summary["models"]}
    back = json.loads(movierec("--json", "release", "rollback").stdout)
    assert (back["stable"], back["canary"]) == (cut["stable"], None)
    assert models_that_answer(variables, 40) == {stack.summary["models"][1]["version"]}


def models_that_answer(variables, requests):
    """Return the models behind stage `live`; a fallback of the proxy would hide them."""
    answers = (get(variables[settings.API_URL], f"/recommend/{n}") for n in range(1, requests + 1))
    return {headers["X-Model-Version"] for _, headers, _ in answers}


def test_a_step_that_the_routing_does_not_allow_is_refused(movierec):
    refused = movierec("release", "weights", "--canary", "10")
    assert refused.returncode == 1
    assert "no canary" in refused.stderr


def test_ctrl_c_stops_everything(stack):
    """The last test of this module: nothing of the run is left, and no port is held."""
    mine = record.load(stack.run)
    assert mine.processes
    stop(stack.process)
    assert trees.marked(str(stack.run.folder)) == frozenset()
    assert not [p for p in mine.processes if psutil.pid_exists(p.pid)]
    for port in mine.ports.values():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)
