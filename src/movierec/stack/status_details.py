"""What the parts of a run say of themselves: rows, lag, models, who gets which."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from movierec import settings
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.release_factory import open_releases
from movierec.aws.s3_store import S3Store
from movierec.errors import MovierecError, ObjectNotFoundError
from movierec.kafka import offsets
from movierec.lake.schema import EVENTS, QUARANTINE
from movierec.model import artifact

type Variables = Mapping[str, str]


def collect(variables: Variables) -> dict[str, Any]:
    """Return all details, JSON each; what cannot be found out is said in its place."""
    asked: dict[str, Callable[[Variables], Any]] = {
        "events": _events,
        "quarantined": lambda v: DeltaLake.from_env(v).count(QUARANTINE.name).get("", 0),
        "ingest_lag_lines": _ingest_lag_lines,
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
    """Return how many lines of the topic have not reached the lake."""
    topic = settings.require(variables, settings.TOPIC)
    written = offsets.of_topic(settings.kafka_options(variables), topic)
    return offsets.missing_lines(DeltaLake.from_env(variables), topic, written)


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
