"""Environment variables: the name and meaning of each.

AWS's own (`AWS_ENDPOINT_URL`, `AWS_REGION`, credentials) are read by boto3 itself.
"""

from collections.abc import Mapping
from typing import Any, Final

from movierec.errors import ConfigError

LAKE_BUCKET: Final = "MOVIEREC_LAKE_BUCKET"
"""Bucket of the Delta tables, each under `<table>/`."""

ARTIFACTS_BUCKET: Final = "MOVIEREC_ARTIFACTS_BUCKET"
"""Bucket of `datasets/`, `models/` and `releases/`."""

CODE_VERSION: Final = "MOVIEREC_CODE_VERSION"
"""Git commit of the running code, with `-dirty` when the work tree differed."""

MODEL_VERSION: Final = "MODEL_VERSION"
"""The model that a version of the API function is pinned to."""

SLOW_MS: Final = "MOVIEREC_SLOW_MS"
"""Milliseconds after which an answer of the API counts as slow; 300 if unset."""

KAFKA_BOOTSTRAP: Final = "MOVIEREC_KAFKA_BOOTSTRAP"
"""`host:port` list of the Kafka brokers."""

KAFKA_SECURITY_PROTOCOL: Final = "MOVIEREC_KAFKA_SECURITY_PROTOCOL"
"""PLAINTEXT (the default), SSL, SASL_PLAINTEXT or SASL_SSL."""

KAFKA_SASL_MECHANISM: Final = "MOVIEREC_KAFKA_SASL_MECHANISM"
"""PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."""

KAFKA_SASL_USERNAME: Final = "MOVIEREC_KAFKA_SASL_USERNAME"
KAFKA_SASL_PASSWORD: Final = "MOVIEREC_KAFKA_SASL_PASSWORD"  # noqa: S105  # a name

KAFKA_SSL_CAFILE: Final = "MOVIEREC_KAFKA_SSL_CAFILE"
"""PEM file of the CA that signed the brokers' certificates; the system's CAs if unset."""

KAFKA_SSL_CERTFILE: Final = "MOVIEREC_KAFKA_SSL_CERTFILE"
KAFKA_SSL_KEYFILE: Final = "MOVIEREC_KAFKA_SSL_KEYFILE"
"""PEM files of this client's certificate and key, for brokers that require one."""

KAFKA_SSL_PASSWORD: Final = "MOVIEREC_KAFKA_SSL_PASSWORD"  # noqa: S105  # a name
"""Password of the key file."""

KAFKA_CLIENT: Final = "MOVIEREC_KAFKA_CLIENT"
"""What the ingest worker reads Kafka with: `kafka-python`, the default, or `confluent`."""

TOPIC: Final = "MOVIEREC_TOPIC"
"""The site's topic, `movielog<N>`; several with commas, of which the first is the site's own.

Rows of the lake without a topic, of before the column, are of the first.
"""

DEFAULT_TOPIC: Final = "movielog1"

SITE_TIMEZONE: Final = "MOVIEREC_SITE_TIMEZONE"
"""IANA name of the zone that the site's clock shows; found from Kafka's timestamps if unset."""

MAX_USER_ID: Final = "MOVIEREC_MAX_USER_ID"
"""The site's largest user id; a line with a larger one is quarantined."""

WATCH_RETENTION_DAYS: Final = "MOVIEREC_WATCH_RETENTION_DAYS"
"""Days that raw watch events stay in the lake, 180 if unset; 0 keeps them for ever."""

VACUUM_RETENTION_HOURS: Final = "MOVIEREC_VACUUM_RETENTION_HOURS"
"""Hours that deleted or replaced files stay readable by time travel; 720 if unset."""

EARLIEST_EVENT_TIME: Final = "MOVIEREC_EARLIEST_EVENT_TIME"
"""The first plausible day of an event by the site's clock, 2000-01-01 if unset."""

MIN_RATING: Final = "MOVIEREC_MIN_RATING"
MAX_RATING: Final = "MOVIEREC_MAX_RATING"
"""The ends of the site's rating scale, 1 and 5 if unset."""

LISTEN: Final = "MOVIEREC_LISTEN"
"""Address that the proxy listens on: 127.0.0.1, or 0.0.0.0 to serve other machines."""

API_URL: Final = "MOVIEREC_API_URL"
"""URL of API Gateway stage `live`, without a trailing slash."""

LIVE_ALIAS: Final = "live"
"""Of the API's function: what serves the site."""

API_FUNCTION: Final = "MOVIEREC_API_FUNCTION"
"""Name of the API's Lambda function, the one with the alias `live`."""

REST_API: Final = "MOVIEREC_REST_API"
"""Id of the API's REST API in API Gateway."""

ROLLOUT_FUNCTION: Final = "MOVIEREC_ROLLOUT_FUNCTION"
"""Name of the Lambda function that executes releases and publishes their reports."""

REFRESH_FUNCTION: Final = "MOVIEREC_REFRESH_FUNCTION"
"""Name of the Lambda function that the ingest worker invokes when it has learned of new accounts;
unset: their lists come with the next refresh on schedule."""

RELEASE_POLICY: Final = "MOVIEREC_RELEASE_POLICY"
"""JSON object of overrides of `movierec.releases.policy.Policy`; none if unset."""

STATE_MACHINE: Final = "MOVIEREC_STATE_MACHINE"
"""ARN of the retraining state machine."""

BUILD_FUNCTION: Final = "MOVIEREC_BUILD_FUNCTION"
"""Name of the Lambda function that builds data sets."""

RELEASE_MACHINE: Final = "MOVIEREC_RELEASE_MACHINE"
"""ARN of the release state machine."""

CANARY_ALARMS: Final = "MOVIEREC_CANARY_ALARMS"
"""JSON template of a canary's alarms, written by Terraform: `movierec.aws.cloudwatch_alarms`."""

RELEASES_TOPIC: Final = "MOVIEREC_RELEASES_TOPIC"
"""ARN of the SNS topic for release notifications."""

SLACK_WEBHOOK: Final = "MOVIEREC_SLACK_WEBHOOK"
"""URL of a Slack incoming webhook; secret. No Slack messages if unset."""

LANGUAGE_MODEL_URL: Final = "MOVIEREC_LANGUAGE_MODEL_URL"
"""Base URL of a language model's API, as `https://host/v1`, that reads self-descriptions; unset:
none does, and texts are read as they are."""

LANGUAGE_MODEL_NAME: Final = "MOVIEREC_LANGUAGE_MODEL_NAME"
"""The model's name at that address."""

LANGUAGE_MODEL_API_KEY: Final = "MOVIEREC_LANGUAGE_MODEL_API_KEY"
"""The API's key; secret. None is sent if unset."""

LANGUAGE_MODEL_API_KEY_SECRET: Final = "MOVIEREC_LANGUAGE_MODEL_API_KEY_SECRET"  # noqa: S105  # a name
"""ARN of the secret in Secrets Manager that holds the key, instead of the key itself."""

LANGUAGE_MODEL_PROMPT_USD: Final = "MOVIEREC_LANGUAGE_MODEL_PROMPT_USD"
LANGUAGE_MODEL_COMPLETION_USD: Final = "MOVIEREC_LANGUAGE_MODEL_COMPLETION_USD"
"""Price of a million tokens, in dollars; 0 for a server of one's own."""

LANGUAGE_MODEL_BUDGET_USD: Final = "MOVIEREC_LANGUAGE_MODEL_BUDGET_USD"
"""Dollars that may be spent in a day (UTC), 1 if unset."""

LANGUAGE_MODEL_LIMIT_S: Final = "MOVIEREC_LANGUAGE_MODEL_LIMIT_S"
"""Seconds that a run of the refresh may ask for, 20 if unset, at most 120."""

PROXY_URL: Final = "MOVIEREC_PROXY_URL"
"""Base URL that the site sends its requests to, without a trailing slash."""

INGEST_URL: Final = "MOVIEREC_INGEST_URL"
"""Base URL of the ingest worker's `/healthz`, without a trailing slash."""

CONSOLE_TOKEN: Final = "MOVIEREC_CONSOLE_TOKEN"  # noqa: S105  a name
"""Secret that a console on another address than loopback asks its users for."""

SITE_URL: Final = "MOVIEREC_SITE_URL"
"""Base URL of the site's `/user/<id>` and `/movie/<id>`, without a trailing slash."""

SIMULATOR_USERS: Final = "MOVIEREC_SIMULATOR_USERS"
SIMULATOR_MOVIES: Final = "MOVIEREC_SIMULATOR_MOVIES"
SIMULATOR_EVENTS: Final = "MOVIEREC_SIMULATOR_EVENTS"
"""How big a site `movierec simulate` is, for all of its processes, where arguments do not say."""


def require(env: Mapping[str, str], name: str) -> str:
    """Return a variable's value. Raises ConfigError when it is unset or empty."""
    value = env.get(name, "")
    if not value:
        raise ConfigError(f"{name} is not set: run through `movierec`, or set it by hand")
    return value


_LAST_PORT: Final = 65_535
_SASL_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_SECURITY_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")

# Each variable that only one layer uses, and kafka-python's name for it.
_SSL_ARGUMENTS: Final = {
    KAFKA_SSL_CAFILE: "ssl_cafile",
    KAFKA_SSL_CERTFILE: "ssl_certfile",
    KAFKA_SSL_KEYFILE: "ssl_keyfile",
    KAFKA_SSL_PASSWORD: "ssl_password",
}
_SASL_ARGUMENTS: Final = {
    KAFKA_SASL_MECHANISM: "sasl_mechanism",
    KAFKA_SASL_USERNAME: "sasl_plain_username",
    KAFKA_SASL_PASSWORD: "sasl_plain_password",
}


def whole_number(env: Mapping[str, str], name: str, default: int) -> int:
    """Return a variable as a whole number, `default` if it is unset. Raises ConfigError."""
    text = env.get(name) or str(default)
    if not text.isascii() or not text.isdigit():
        raise ConfigError(f"{name} is {text!r}: expected a whole number")
    return int(text)


def topics(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the topics that are ingested, each once. Raises ConfigError if there is none."""
    text = env.get(TOPIC) or DEFAULT_TOPIC
    found = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not found:
        raise ConfigError(f"{TOPIC} is {text!r}: expected a topic, or several with commas")
    return found


def kafka_options(env: Mapping[str, str]) -> dict[str, Any]:
    """Return kafka-python's keyword arguments for connecting to the brokers.

    `bootstrap_servers` (a list of `host:port`) and, for a secured cluster, `security_protocol`
    with its `sasl_*` and `ssl_*`. Raises ConfigError on a missing or malformed variable, and on
    one that the protocol would leave unused: an unused password or certificate means that the
    protocol is the wrong one.
    """
    protocol = _one_of(env, KAFKA_SECURITY_PROTOCOL, _SECURITY_PROTOCOLS, default="PLAINTEXT")
    options = {
        "bootstrap_servers": _servers(require(env, KAFKA_BOOTSTRAP)),
        "security_protocol": protocol,
        **_layer(env, _SASL_ARGUMENTS, used=protocol.startswith("SASL"), protocol=protocol),
        **_layer(env, _SSL_ARGUMENTS, used=protocol.endswith("SSL"), protocol=protocol),
    }
    if protocol.startswith("SASL"):
        options["sasl_plain_username"] = require(env, KAFKA_SASL_USERNAME)
        options["sasl_plain_password"] = require(env, KAFKA_SASL_PASSWORD)
        options["sasl_mechanism"] = _one_of(
            env, KAFKA_SASL_MECHANISM, _SASL_MECHANISMS, default="PLAIN"
        )
    return options


def _layer(
    env: Mapping[str, str], arguments: Mapping[str, str], *, used: bool, protocol: str
) -> dict[str, str]:
    given = {variable: env[variable] for variable in arguments if env.get(variable)}
    if given and not used:
        raise ConfigError(
            f"{min(given)} is set, but {KAFKA_SECURITY_PROTOCOL} is {protocol} and has no use for "
            "it: set the protocol that the brokers speak, or unset the variable"
        )
    return {arguments[variable]: value for variable, value in given.items()}


def _one_of(
    env: Mapping[str, str], variable: str, allowed: tuple[str, ...], *, default: str
) -> str:
    value = (env.get(variable) or default).upper()
    if value not in allowed:
        raise ConfigError(f"{variable}={env[variable]}: use one of {', '.join(allowed)}")
    return value


def _servers(text: str) -> list[str]:
    servers = [server.strip() for server in text.split(",")]
    for server in servers:
        host, _, port = server.rpartition(":")
        number = int(port) if port.isascii() and port.isdigit() else 0
        if not host or not 0 < number <= _LAST_PORT:
            raise ConfigError(f"{KAFKA_BOOTSTRAP}={text}: use host:port, several with commas")
    return servers
