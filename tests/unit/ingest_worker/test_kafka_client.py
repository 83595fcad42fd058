import sys

import pytest

from ingest_worker.kafka_client import source_from_env
from movierec import settings
from movierec.errors import ConfigError


def chosen(name):
    env = {settings.KAFKA_BOOTSTRAP: "127.0.0.1:9092", settings.KAFKA_CLIENT: name}
    return source_from_env(env, "movielog1", poll_lines=1)


def test_a_client_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="'librdkafka': use one of kafka-python, confluent"):
        chosen("librdkafka")


def test_a_client_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "ingest_worker.confluent_source", raising=False)
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(ConfigError, match=r"confluent_kafka is not installed.*`confluent` extra"):
        chosen("confluent")
