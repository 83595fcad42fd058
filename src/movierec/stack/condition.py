"""How a run is: what runs, where it answers, how far the lake is behind, who gets which model."""

from collections.abc import Mapping
from typing import Any, Final

from movierec import settings
from movierec.errors import UnavailableError
from movierec.kafka.reach import reachable
from movierec.stack import addresses, emulator, services, sockets, surroundings
from movierec.stack.layout import Run
from movierec.stack.processes import Supervisor

KAFKA: Final = "kafka"

# Which part answers at which endpoint; the API lives in the emulator.
_PARTS: Final[Mapping[str, str]] = {
    emulator.NAME: "aws",
    KAFKA: "kafka",
    services.INGEST: "",
    services.PROXY: "proxy",
}

# Of a cluster elsewhere, too.
_REACHED_WITHIN_S: Final = 2.0

# What answers even when there is nothing to recommend.
_PATHS: Final[Mapping[str, str]] = {
    emulator.NAME: "/_localstack/health",
    services.PROXY: "/version",
}


def observe(run: Run) -> dict[str, Any]:
    """Return a run's condition: `ok`, `endpoints`, `parts`, `facts`; all JSON.

    A part is `up` when its process runs and it answers. One that is `external`, Kafka servers that
    the user has named, has no process here. Never raises for what is down: what cannot be found
    out is said in its place.
    """
    try:
        variables = surroundings.load(run)
    except UnavailableError:
        variables = {}
    endpoints = _endpoints(run, variables)
    running = {process.group for process in Supervisor(run).running()}
    parts = {name: _part(name, endpoints, running) for name in _PARTS}
    surroundings.adopt(variables)
    if addresses.are_foreign(run, endpoints.get(_PARTS[KAFKA], "")):
        parts[KAFKA] = _foreign(KAFKA, endpoints)
    return {
        "run": run.name,
        "ok": all(part["up"] for part in parts.values()),
        "endpoints": endpoints,
        "parts": parts,
        "facts": _facts(variables) if parts[emulator.NAME]["up"] else {},
    }


def _facts(variables: Mapping[str, str]) -> dict[str, Any]:
    # boto3, Delta Lake and Kafka take longer than all the rest: only a run that is up is asked.
    from movierec.stack.facts import facts  # noqa: PLC0415

    return facts(variables)


def _part(name: str, endpoints: Mapping[str, str], running: set[str]) -> dict[str, Any]:
    runs = name in running
    up = runs and _answers(name, endpoints.get(_PARTS[name], ""))
    return {"running": runs, "up": up, "external": False, "endpoint": _PARTS[name]}


def _foreign(name: str, endpoints: Mapping[str, str]) -> dict[str, Any]:
    up = _answers(name, endpoints[_PARTS[name]])
    return {"running": False, "up": up, "external": True, "endpoint": _PARTS[name]}


def _answers(name: str, address: str) -> bool:
    if name in _PATHS:
        return sockets.answers(int(address.rpartition(":")[2]), _PATHS[name])
    if name == KAFKA:
        return reachable(address.split(","), timeout_s=_REACHED_WITHIN_S)
    return True


def _endpoints(run: Run, variables: Mapping[str, str]) -> dict[str, str]:
    if not variables:
        return {}
    return {
        "aws": variables["AWS_ENDPOINT_URL"],
        "kafka": variables[settings.KAFKA_BOOTSTRAP],
        "api": variables.get(settings.API_URL, ""),
        "proxy": variables[settings.PROXY_URL],
        "site": variables[settings.SITE_URL],
    } | {"folder": str(run.folder)}
