from pathlib import Path

import pytest

from movierec.stack.services.kafka_broker import Node, server_properties

ALONE = (Node(1, 9092, 9093),)
THREE = (Node(1, 9092, 9093), Node(2, 9192, 9193), Node(3, 9292, 9293))


def settings(node, nodes):
    text = server_properties(node, nodes, Path("/run/kafka/data"))
    return dict(line.split("=", 1) for line in text.splitlines())


@pytest.mark.parametrize(("nodes", "copies", "in_sync"), [(ALONE, "1", "1"), (THREE, "3", "2")])
def test_every_internal_topic_has_a_copy_on_each_node(nodes, copies, in_sync):
    found = settings(nodes[0], nodes)
    factors = {n: v for n, v in found.items() if n.endswith("replication.factor")}
    minimums = {n: v for n, v in found.items() if n.endswith(("min.isr", "min.insync.replicas"))}
    assert len(factors) == 4
    assert set(factors.values()) == {copies}
    assert len(minimums) == 3
    assert set(minimums.values()) == {in_sync}


def test_all_nodes_name_the_same_voters_and_each_its_own_addresses():
    found = [settings(node, THREE) for node in THREE]
    voters = "1@127.0.0.1:9093,2@127.0.0.1:9193,3@127.0.0.1:9293"
    assert {each["controller.quorum.voters"] for each in found} == {voters}
    assert [each["node.id"] for each in found] == ["1", "2", "3"]
    assert found[1]["listeners"] == "CLIENT://127.0.0.1:9192,CONTROLLER://127.0.0.1:9193"
    assert found[1]["advertised.listeners"] == "CLIENT://127.0.0.1:9192"


def test_nothing_listens_beyond_loopback():
    addresses = settings(ALONE[0], ALONE)["listeners"].split(",")
    assert all("//127.0.0.1:" in address for address in addresses)


def test_a_mistyped_topic_is_not_created():
    assert settings(ALONE[0], ALONE)["auto.create.topics.enable"] == "false"
