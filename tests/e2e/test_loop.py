"""The whole loop, small, on ports and in a folder of its own; then used as an operator would."""

import contextlib
import http.client
import json
import os
import signal
import socket
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest
from kafka import KafkaConsumer, TopicPartition

from bench.faulty_api import Code
from bench.running_stack import stop
from movierec import settings
from movierec.aws import step_functions
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.s3_store import S3Store
from movierec.aws.session import client
from movierec.lake import text_queries
from movierec.lake.schema import USERS
from movierec.model import artifact, overlay
from movierec.model.texts import Description
from movierec.releases.log import page_key
from movierec.releases.notifications import record_key
from movierec.stack import loopback_ports, run_environment, run_record
from movierec.stack.deploy import terraform
from movierec.stack.processes import child_environment
from movierec.stack.processes.client import Client
from simulator.kafka_producer import BulkProducer
from tests.contract.children import of_run
from tests.terraform_facts import plan_is_empty

WITHIN_S = 60
FIRST_NEW_USER = 2001
TOPIC = settings.DEFAULT_TOPIC


def until(condition, meanwhile=lambda: None):
    """Wait for a condition, doing something meanwhile; fail when it does not come."""
    deadline = time.monotonic() + 2 * WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        meanwhile()
        time.sleep(0.2)


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
    emulator = Client(stack.run).find("emulator")
    assert emulator is not None
    commands = [
        " ".join(p.cmdline()) for p in psutil.Process(emulator.pid).children(recursive=True)
    ]
    assert any("/var/rapid/bootstrap.py" in command for command in commands), commands


def test_nothing_of_a_run_is_reached_from_another_address(stack):
    """The emulator runs whatever code it is given; only --listen opens a port, the proxy's."""
    pids = of_run(stack.run)
    listening = {
        (found.laddr.ip.removeprefix("::ffff:"), found.laddr.port)
        for found in psutil.net_connections("tcp")
        if found.status == psutil.CONN_LISTEN and found.pid in pids and found.laddr
    }
    names = (loopback_ports.EMULATOR, loopback_ports.KAFKA, loopback_ports.PROXY)
    assert {port for _, port in listening} >= set(loopback_ports.ports(stack.run, names).values())
    assert {host for host, _ in listening} <= {"127.0.0.1", "::1"}
    for _, port in listening:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5)


def test_a_second_apply_changes_nothing(stack, variables):
    assert nothing_to_apply(stack, variables)


def nothing_to_apply(stack, variables):
    project = stack.run.project
    env = child_environment.basic(os.environ, path=project.path) | {
        name: value for name, value in variables.items() if name.startswith("AWS_")
    }
    workspace = terraform.Workspace(
        folder=stack.run.terraform,
        env=terraform.configured(env, project.terraform_config),
        log=stack.run.logs / "terraform-again.log",
    )
    return plan_is_empty(workspace)


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
    assert {"known_user", "fallback"} & chain["served"]["detail"].keys()
    assert "recommendation_detail" not in asked
    assert chain["checks"]
    assert all(check["expected"] == check["found"] for check in chain["checks"])
    assert chain["dataset"]["judged_by"]["released"]
    rebuilt = movierec("--json", "dataset", "rebuild", chain["dataset"]["dataset_id"])
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert json.loads(rebuilt.stdout)["same"] is True


def test_what_is_watched_leaves_its_users_list_at_the_next_refresh(
    movierec, environment, variables
):
    """A line in Kafka, the worker, the lake, a refresh, its overlay, the API."""
    url, movie = variables[settings.PROXY_URL], listed(variables)[0]
    line = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S},42,GET /data/m/{movie}/30.mpg"
    with contextlib.closing(BulkProducer(settings.kafka_options(variables), TOPIC)) as producer:
        producer.confirm(producer.send([line.encode()], [b""], [0]))

    aws = client("lambda")

    def refresh():
        """Ask for one, unless one runs: the worker asks too, and there is one at a time."""
        with contextlib.suppress(aws.exceptions.TooManyRequestsException):
            aws.invoke(FunctionName=environment[settings.REFRESH_FUNCTION])

    until(lambda: movie not in listed(variables), refresh)
    _, headers, _ = get(url, "/recommend/42")

    def detail():
        asked = movierec("--json", "provenance", headers["X-Recommendation-Id"])
        return json.loads(asked.stdout)["served"]["detail"] if asked.returncode == 0 else {}

    until(detail)
    assert detail()["reason"] == "fold_in"
    assert detail()["refresh"] >= 1


def test_a_new_account_has_a_list_from_what_it_wrote(variables, environment):
    """The site's form, its API, the worker, the lake, a refresh, its overlay, the API."""
    assert environment
    user, written = described(variables)
    store = S3Store.from_env(environment, settings.ARTIFACTS_BUCKET)
    lake = DeltaLake.from_env(environment)

    def reason():
        status, headers, _ = get(variables[settings.PROXY_URL], f"/recommend/{user}")
        assert status == 200
        version = headers["X-Model-Version"]
        number = overlay.load_newest(store.get(overlay.newest_key(version)))
        found = overlay.load(store, version, number, n_movies(store, version))
        row = found.row_of(user)
        return None if row is None else overlay.REASONS[found.reasons[row]]

    until(lambda: reason() in {"description", "fold_in"})
    descriptions = text_queries.read_descriptions(
        lake, {USERS.name: lake.version(USERS.name)}, np.array([user])
    )
    assert descriptions[1] == (Description(written, descriptions[1][0].dislikes),)


def n_movies(store, version):
    return len(json.loads(store.get(artifact.key(version, artifact.MOVIE_IDS_FILE))))


def described(variables):
    """Return a user who came since the site opened and wrote something, and what (s)he likes."""
    user, likes = FIRST_NEW_USER - 1, ""
    while not likes:
        user += 1
        status, _, body = get(variables[settings.SITE_URL], f"/user/{user}")
        assert status == 200, "none of the new users wrote anything"
        likes = (json.loads(body)["self_description_likes"] or "").strip()
    return user, likes


def listed(variables):
    """Return the movies that user 42 is recommended."""
    return get(variables[settings.PROXY_URL], "/recommend/42")[2].split(",")


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


def test_a_release_goes_its_way_by_itself_and_all_that_tells_of_it_agrees(
    movierec, stack, releases, channel
):
    """Promoted; or, on a machine too busy to serve, taken back by the alarm that says so."""
    old = stack.summary["models"][0]["version"]
    started = movierec("--json", "release", "start", "--model", old, "--again", "--no-watch")
    release = json.loads(started.stdout)["release_id"]
    watched = movierec("--json", "release", "watch", release)
    end = json.loads(watched.stdout)

    assert (end["release_id"], end["model_version"]) == (release, old)
    if watched.returncode == 0:
        assert (end["state"], end["reason"]) == ("promoted", "held its time with all users")
    else:
        assert end["state"] == "rolled back"
        named = f"alarm movierec-canary-{end['version']}-"
        assert end["reason"].startswith((f"{named}slow", f"{named}long"))
    shown = json.loads(movierec("--json", "release", "show", release).stdout)
    assert end.items() <= shown.items()
    names = [step["name"] for step in shown["steps"]]
    assert names[:5] == ["start", "gate", "cut", "smoke", "weigh"]
    assert releases.split() == releases.log.closing(release).after
    decided = json.loads(movierec("--json", "release", "replay", release).stdout)
    assert "weigh" in {each["decided"]["name"] for each in decided}
    assert all(each["ok"] for each in decided)
    assert any(each["verdict"] == "fine" for each in decided) or watched.returncode
    until(lambda: told(releases, release) == {"start", names[-1]})
    until(lambda: end["reason"] in get(shown["page"], "")[2])
    status, _, page = get(shown["page"], "")
    assert (status, release in page, end["reason"] in page) == (200, True, True)
    began, ended = (said["text"] for said in channel.taken if release in said["text"])
    assert "started" in began
    assert end["reason"] in ended
    assert ended.endswith(shown["page"])


def told(releases, release):
    """Return the events of a release that have been published, and have reached the channel."""
    events = {"start", "promote", "rollback", "abort"}
    keys = set(releases.store.keys(f"releases/{release}/notices/"))
    return {
        event
        for event in events
        if record_key(release, event, "sns") in keys
        and record_key(release, event, "slack") in keys
        and json.loads(releases.store.get(record_key(release, event, "slack")))["delivered"]
    }


def test_what_fails_users_is_taken_back_by_its_alarm_with_no_state_machine_to_help(
    movierec, variables, releases, channel
):
    before = releases.split()
    code = Code()
    try:
        how = code.hurt("failing")
        started = movierec("--json", "release", "start", *how, "--no-watch")
        release = json.loads(started.stdout)["release_id"]
        until(lambda: releases.split().canary)
        machine = step_functions.arn_of(variables[settings.RELEASE_MACHINE], release)
        client("stepfunctions").stop_execution(executionArn=machine)
        until(lambda: step_functions.status(machine) == "ABORTED")
        exposed = releases.state_of(release)
        assert (exposed.state, exposed.stable) == ("exposed", before.stable)
        until(
            lambda: releases.state_of(release).closed and releases.split() == before,
            lambda: assert_users_are_answered(variables),
        )
    finally:
        code.mend()

    end, earlier = json.loads(movierec("--json", "release", "list").stdout)[:2]
    assert (end["release_id"], end["state"]) == (release, "rolled back")
    assert earlier["state"] in ("promoted", "rolled back")
    assert end["reason"].startswith(f"alarm movierec-canary-{exposed.version}-")
    assert step_functions.status(machine) == "ABORTED"
    until(lambda: told(releases, release) == {"start", "rollback"})
    assert any(end["reason"] in said["text"] for said in channel.taken)
    until(lambda: end["reason"] in get(releases.link(page_key(release)), "")[2])
    armed = f"movierec-canary-{exposed.version}-"
    assert client("cloudwatch").describe_alarms(AlarmNamePrefix=armed)["MetricAlarms"] == []


def assert_users_are_answered(variables):
    for user in range(1, 5):
        assert get(variables[settings.PROXY_URL], f"/recommend/{user}")[0] == 200


def assert_nothing_is_left(run, before):
    assert before
    assert of_run(run) == set()
    assert not [process for process in before if psutil.pid_exists(process.pid)]
    for port in run_record.load(run).ports.values():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)


def test_ctrl_c_stops_everything(stack):
    """From here on the run is down, until a test has it resumed."""
    before = Client(stack.run).running()
    stop(stack.process)
    assert_nothing_is_left(stack.run, before)


def test_a_run_that_was_stopped_goes_on_with_all_that_it_had_and_deploys_nothing(
    movierec, stack, variables
):
    resumed = movierec("up")
    assert resumed.returncode == 0, resumed.stderr
    assert "localstack" in resumed.stderr
    assert "terraform" not in resumed.stderr
    assert "chalice" not in resumed.stderr
    assert run_environment.load(stack.run) == variables
    assert nothing_to_apply(stack, variables)
    listed = json.loads(movierec("--json", "release", "list").stdout)
    assert {"promoted", "rolled back"} <= {each["state"] for each in listed}
    versions = {model["version"] for model in stack.summary["models"]}
    assert models_that_answer(variables, 5) < versions
    assert_the_lake_has_the_whole_topic(movierec)


def assert_the_lake_has_the_whole_topic(movierec):
    """Every line that Kafka holds is in the lake, once: as an event or in quarantine."""
    status = {}

    def caught_up():
        status.update(json.loads(movierec("--json", "status").stdout))
        return status["ok"] and status["facts"]["ingest_lag_lines"] == 0

    until(caught_up)
    facts = status["facts"]
    lines = facts["events"]["total"] + facts["quarantined"]
    consumer = KafkaConsumer(bootstrap_servers=status["endpoints"]["kafka"])
    with contextlib.closing(consumer):
        partitions = [TopicPartition(TOPIC, n) for n in consumer.partitions_for_topic(TOPIC)]
        assert lines == sum(consumer.end_offsets(partitions).values()) > 0


def test_what_has_changed_is_deployed_and_nothing_else(movierec, stack, variables, chosen):
    log = stack.run.logs / "terraform.log"
    before = log.stat().st_size
    chosen[settings.WATCH_RETENTION_DAYS] = "7"
    changed = movierec("up")
    assert changed.returncode == 0, changed.stderr
    assert "terraform apply" in changed.stderr
    assert "chalice" not in changed.stderr
    assert run_environment.load(stack.run) == variables
    with log.open() as told:
        told.seek(before)
        messages = [json.loads(line) for line in told if line.startswith("{")]
    touched = {
        message["hook"]["resource"]["addr"]
        for message in messages
        if message["type"] == "apply_start"
    }
    assert touched == {
        'module.platform.module.function["lake_maintenance"].aws_lambda_function.this'
    }


def test_an_emulator_and_a_broker_that_are_killed_come_back_and_users_are_answered_meanwhile(
    movierec, stack, variables
):
    names = {"emulator", "kafka"}
    killed = {p.name: p for p in Client(stack.run).running() if p.name in names}
    for process in killed.values():
        os.kill(process.pid, signal.SIGKILL)
    until(
        lambda: json.loads(movierec("--json", "status").stdout)["ok"],
        lambda: assert_users_are_answered(variables),
    )
    found = json.loads(movierec("--json", "status").stdout)
    assert {name: found["parts"][name]["restarts"] for name in names} == dict.fromkeys(names, 1)
    assert "died and was restarted once" in movierec("status").stdout
    assert models_that_answer(variables, 5)
    assert_the_lake_has_the_whole_topic(movierec)


def test_down_stops_everything_and_says_what_is_kept_and_where(movierec, stack):
    before = Client(stack.run).running()
    said = movierec("down").stdout
    stopped = said.splitlines()[0].removeprefix("stopped: ").split(", ")
    # Worker and proxy come up side by side; what they write to goes after both.
    assert (stopped[0], set(stopped[1:3])) == ("supervisor", {"proxy", "ingest"})
    assert set(stopped[3:]) == {"kafka", "emulator"}
    assert f"kept in {stack.run.folder}" in said
    assert_nothing_is_left(stack.run, before)
