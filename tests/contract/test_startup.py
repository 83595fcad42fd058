"""How a run comes up, as far as that can be seen without its servers."""

import socket

import pytest

from movierec import settings
from movierec.errors import UnavailableError
from movierec.stack import addresses, record, sockets
from movierec.stack.layout import Project
from movierec.stack.processes import Supervisor
from movierec.stack.progress import quiet
from movierec.stack.startup import Startup, external_kafka


@pytest.fixture
def run(tmp_path):
    return Project(tmp_path).run("test").create()


@pytest.fixture
def busy_port():
    with socket.socket() as server:
        server.bind((sockets.HOST, 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize("part", [addresses.EMULATOR, addresses.PROXY])
def test_a_port_that_is_taken_is_refused_before_anything_is_started(run, busy_port, part):
    record.update(run, lambda before: before.with_ports({part: busy_port}))
    with Supervisor(run) as supervisor:
        with pytest.raises(UnavailableError, match=f"port {busy_port}, wanted by {part}"):
            Startup(supervisor, quiet(), {})
        assert supervisor.running() == ()
    assert record.load(run).processes == ()


def test_a_cluster_that_the_environment_names_is_taken(run):
    assert external_kafka(run, {settings.KAFKA_BOOTSTRAP: "kafka.example:9092"}) == (
        "kafka.example:9092"
    )
    assert external_kafka(run, {}) is None


def test_a_shell_with_the_runs_own_surroundings_names_no_other_cluster(run):
    """After `eval "$(movierec env)"`, `movierec up` must start the run's own again."""
    record.update(run, lambda before: before.with_ports({addresses.KAFKA: 9092}))
    own = {settings.KAFKA_BOOTSTRAP: "127.0.0.1:9092"}
    assert external_kafka(run, {**own, settings.LAKE_BUCKET: "movierec-lake"}) is None
    # Somebody's tunnel to a cluster elsewhere.
    assert external_kafka(run, own) == "127.0.0.1:9092"
