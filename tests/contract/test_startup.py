"""How a run comes up, as far as that can be seen without its servers."""

import os
import socket

import pytest

from movierec import settings
from movierec.aws.session import client
from movierec.errors import UnavailableError
from movierec.stack import loopback_ports, run_environment, run_record, run_status
from movierec.stack.deploy import deployed_state
from movierec.stack.deploy.deployed_state import Deployment
from movierec.stack.options import Options, external_kafka
from movierec.stack.options import variables as run_variables
from movierec.stack.processes.client import Client
from movierec.stack.startup import Startup
from tests.contract.children import quiet


@pytest.fixture(autouse=True)
def environment_as_before():
    """Undo what a run that comes up does: its environment is this process's own."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
    client.cache_clear()


@pytest.fixture
def busy_port():
    with socket.socket() as server:
        server.bind((loopback_ports.HOST, 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize("part", [loopback_ports.EMULATOR, loopback_ports.PROXY])
def test_a_port_that_is_taken_is_refused_before_anything_is_started(run, busy_port, part):
    run_record.update(run, lambda before: before.with_ports({part: busy_port}))
    with Client(run) as client:
        coming = Startup(client, quiet(), {})
        with pytest.raises(UnavailableError, match=f"port {busy_port}, wanted by {part}"), coming:
            pytest.fail("it began")
        assert client.processes() == ()


def test_a_cluster_that_the_environment_names_is_taken(run):
    assert external_kafka(run, {settings.KAFKA_BOOTSTRAP: "kafka.example:9092"}) == (
        "kafka.example:9092"
    )
    assert external_kafka(run, {}) is None


def test_a_shell_with_the_runs_own_environment_names_no_other_cluster(run):
    """After `eval "$(movierec env)"`, `movierec up` must start the run's own again."""
    run_record.update(run, lambda before: before.with_ports({loopback_ports.KAFKA: 9092}))
    own = {settings.KAFKA_BOOTSTRAP: "127.0.0.1:9092"}
    assert external_kafka(run, {**own, settings.LAKE_BUCKET: "movierec-lake"}) is None
    # Somebody's tunnel to a cluster elsewhere.
    assert external_kafka(run, own) == "127.0.0.1:9092"


DEPLOYED = {
    settings.API_FUNCTION: "movierec-api",
    settings.REST_API: "abc123",
    settings.API_URL: "http://127.0.0.1:4566/_aws/execute-api/abc123/live",
}


def come_up(client):
    """Begin to come up in a checkout that has nothing to start; return what the run then knows."""
    with Startup(client, quiet(), {}) as startup:
        with pytest.raises(Exception, match="is not installed"):
            startup.kafka.result()
        return startup.variables


def test_what_an_earlier_up_has_deployed_is_still_known_while_the_next_one_is_under_way(run):
    deployed_state.save(run, Deployment(generation=7, told=DEPLOYED))
    run_environment.save(run, {settings.TOPIC: "another"})
    with Client(run) as client:
        known = come_up(client)
    assert known.items() >= DEPLOYED.items()
    assert known[settings.TOPIC] == settings.DEFAULT_TOPIC


def test_a_new_run_knows_of_nothing_that_is_deployed(run):
    with Client(run) as client:
        known = come_up(client)
    assert not known.keys() & DEPLOYED.keys()


def test_what_was_not_entered_has_begun_nothing(run):
    run_environment.save(run, {})
    with Client(run) as client:
        Startup(client, quiet(), {})
        assert client.processes() == ()
    assert run_environment.load(run) == {}
    assert settings.LAKE_BUCKET not in os.environ


def test_the_site_that_the_user_has_wins_over_the_runs_own(run):
    """But not a simulator's address in a shell that has a run's environment."""

    def site(**inherited):
        return run_variables(run, inherited, Options())[settings.SITE_URL]

    own = f"http://127.0.0.1:{loopback_ports.port(run, loopback_ports.SITE)}"
    theirs, tunnel = "http://site.example:8080", "http://127.0.0.1:18080"
    assert site() == own
    assert site(MOVIEREC_SITE_URL=f"{theirs}/") == theirs
    assert site(MOVIEREC_SITE_URL=tunnel) == tunnel
    assert site(MOVIEREC_SITE_URL=tunnel, MOVIEREC_LAKE_BUCKET="lake") == own
    assert site(MOVIEREC_SITE_URL=theirs, MOVIEREC_LAKE_BUCKET="lake") == theirs


def with_kafka_at(run, servers):
    run_record.update(run, lambda before: before.with_ports({loopback_ports.KAFKA: 9092}))
    local = "http://127.0.0.1:1"
    urls = ("AWS_ENDPOINT_URL", settings.PROXY_URL, settings.SITE_URL)
    run_environment.save(run, {**dict.fromkeys(urls, local), settings.KAFKA_BOOTSTRAP: servers})
    return run_status.collect(run)["parts"]["kafka"]


def test_a_cluster_that_is_not_the_runs_own_is_external_and_up_if_it_answers(run, busy_port):
    """Also at this machine's address: a tunnel, or another run's broker."""
    found = with_kafka_at(run, f"127.0.0.1:{busy_port}")
    assert (found["external"], found["up"]) == (True, True)


def test_a_cluster_that_is_not_the_runs_own_and_does_not_answer_is_external_all_the_same(run):
    found = with_kafka_at(run, "127.0.0.1:1")
    assert (found["external"], found["up"]) == (True, False)


def test_the_runs_own_cluster_is_down_when_its_process_is(run):
    found = with_kafka_at(run, "127.0.0.1:9092")
    assert (found["external"], found["up"]) == (False, False)
