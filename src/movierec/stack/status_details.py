"""What the parts of a run say of themselves: rows, lag, models, who gets which."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from movierec import settings
from movierec.api_contract import HEALTH_PATH
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.release_factory import open_releases
from movierec.aws.s3_store import S3Store
from movierec.errors import MovierecError, ObjectNotFoundError
from movierec.kafka import offsets
from movierec.lake.schema import EVENTS, QUARANTINE
from movierec.model import artifact
from movierec.stack import loopback_ports

type Variables = Mapping[str, str]


def collect(variables: Variables) -> dict[str, Any]:
    """Return all details, JSON each; what cannot be found out is said in its place."""
    asked: dict[str, Callable[[Variables], Any]] = {
        "events": _events,
        "quarantined": lambda v: DeltaLake.from_env(v).count(QUARANTINE.name).get("", 0),
        "ingest_lag_lines": _ingest_lag_lines,
        "ingest": _ingest,
        "newest_model": _newest_model,
        "routing": _split,
        "releases_under_way": lambda v: list(open_releases(v).log.open_releases()),
    }
    return {name: _said(ask, variables) for name, ask in asked.items()}


def _events(variables: Variables) -> dict[str, int]:
    """Return the rows of the lake's events, in sum and by kind."""
    counts = DeltaLake.from_env(variables).count(EVENTS.name, by="kind")
    return {"total": sum(counts.values()), **dict(sorted(counts.items()))}


def _ingest_lag_lines(variables: Variables) -> int:
    """Return how many lines of the topics have not reached the lake."""
    options, topics = settings.kafka_options(variables), settings.topics(variables)
    written = {topic: offsets.of_topic(options, topic) for topic in topics}
    return offsets.missing_lines(DeltaLake.from_env(variables), written)


def _ingest(variables: Variables) -> dict[str, Any]:
    """Return what the ingest worker says of itself: see `ingest_worker.meter`."""
    port = int(settings.require(variables, settings.INGEST_URL).rpartition(":")[2])
    _, body = loopback_ports.request(port, HEALTH_PATH)
    found: dict[str, Any] = json.loads(body)
    return found


def _newest_model(variables: Variables) -> str | None:
    try:
        return artifact.newest(S3Store.from_env(variables, settings.ARTIFACTS_BUCKET))
    except ObjectNotFoundError:
        return None


def _split(variables: Variables) -> dict[str, Any] | None:
    """Return who gets which version, and each version's model; None before the first release."""
    releases = open_releases(variables)
    found = releases.split()
    return None if found is None else {**asdict(found), "models": releases.models(found)}


def _said(ask: Callable[[Variables], Any], variables: Variables) -> Any:  # noqa: ANN401  any JSON
    try:
        return ask(variables)
    except MovierecError as exc:
        return f"unknown: {exc}"
