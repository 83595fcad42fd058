import pytest

from movierec import settings
from movierec.errors import ConfigError

LOCAL = {settings.KAFKA_BOOTSTRAP: "127.0.0.1:9092"}
LOGIN = {
    settings.KAFKA_SASL_USERNAME: "me",
    settings.KAFKA_SASL_PASSWORD: "secret",
}


def test_a_local_broker_needs_its_address_alone():
    assert settings.kafka_options(LOCAL) == {
        "bootstrap_servers": ["127.0.0.1:9092"],
        "security_protocol": "PLAINTEXT",
    }


def test_several_brokers_are_separated_by_commas():
    env = {settings.KAFKA_BOOTSTRAP: "a.example:9092, [::1]:9093"}
    assert settings.kafka_options(env)["bootstrap_servers"] == ["a.example:9092", "[::1]:9093"]


def test_a_login_over_tls_is_passed_on_whole():
    env = {
        **LOCAL,
        **LOGIN,
        settings.KAFKA_SECURITY_PROTOCOL: "sasl_ssl",
        settings.KAFKA_SASL_MECHANISM: "scram-sha-512",
        settings.KAFKA_SSL_CAFILE: "/ca.pem",
    }
    assert settings.kafka_options(env) == {
        "bootstrap_servers": ["127.0.0.1:9092"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "me",
        "sasl_plain_password": "secret",
        "ssl_cafile": "/ca.pem",
    }


def test_a_client_certificate_is_passed_on():
    env = {
        **LOCAL,
        settings.KAFKA_SECURITY_PROTOCOL: "SSL",
        settings.KAFKA_SSL_CERTFILE: "/me.pem",
        settings.KAFKA_SSL_KEYFILE: "/me.key",
        settings.KAFKA_SSL_PASSWORD: "secret",
    }
    found = settings.kafka_options(env)
    assert (found["ssl_certfile"], found["ssl_keyfile"]) == ("/me.pem", "/me.key")
    assert found["ssl_password"] == "secret"  # not one


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({}, settings.KAFKA_BOOTSTRAP),
        ({settings.KAFKA_BOOTSTRAP: "localhost"}, "host:port"),
        ({settings.KAFKA_BOOTSTRAP: ":9092"}, "host:port"),
        ({settings.KAFKA_BOOTSTRAP: "a:99999"}, "host:port"),
        ({settings.KAFKA_BOOTSTRAP: "a:1,"}, "host:port"),
        ({**LOCAL, settings.KAFKA_SECURITY_PROTOCOL: "TLS"}, "SASL_SSL"),
        ({**LOCAL, settings.KAFKA_SECURITY_PROTOCOL: "SASL_SSL"}, settings.KAFKA_SASL_USERNAME),
        (
            {**LOCAL, **LOGIN, settings.KAFKA_SECURITY_PROTOCOL: "SASL_SSL"}
            | {settings.KAFKA_SASL_MECHANISM: "MD5"},
            "SCRAM-SHA-256",
        ),
    ],
)
def test_a_missing_or_malformed_setting_is_named(env, named):
    with pytest.raises(ConfigError, match=named):
        settings.kafka_options(env)


@pytest.mark.parametrize("unused", [*LOGIN, settings.KAFKA_SSL_CAFILE, settings.KAFKA_SSL_PASSWORD])
def test_a_secret_that_the_protocol_would_not_use_is_refused(unused):
    """A password set beside PLAINTEXT means that somebody believes in protection."""
    with pytest.raises(ConfigError, match=unused):
        settings.kafka_options({**LOCAL, unused: "x"})


def test_a_whole_number_is_read_and_anything_else_is_named():
    assert settings.whole_number({}, settings.MAX_RATING, 5) == 5
    assert settings.whole_number({settings.MAX_RATING: "10"}, settings.MAX_RATING, 5) == 10
    with pytest.raises(ConfigError, match="MOVIEREC_MAX_RATING is 'ten'"):
        settings.whole_number({settings.MAX_RATING: "ten"}, settings.MAX_RATING, 5)
