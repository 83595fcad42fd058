"""How a run is: what runs, where it answers, how far the lake is behind, who gets which model."""

from collections.abc import Mapping
from typing import Any, Final

from movierec import settings
from movierec.errors import UnavailableError
from movierec.stack import emulator, services, sockets, surroundings
from movierec.stack.facts import facts
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

# What answers even when there is nothing to recommend.
_PATHS: Final[Mapping[str, str]] = {
    emulator.NAME: "/_localstack/health",
    services.PROXY: "/version",
}


def observe(run: Run) -> dict[str, Any]:
    """Return a run's condition: `ok`, `endpoints`, `parts`, `facts`; all JSON.

    A part is `up` when its process runs and it answers. Never raises for what is down: what
    cannot be found out is said in its place.
    """
    try:
        variables = surroundings.load(run)
    except UnavailableError:
        variables = {}
    endpoints = _endpoints(run, variables)
    running = {process.group for process in Supervisor(run).running()}
    parts = {name: _part(name, endpoints, running) for name in _PARTS}
    surroundings.adopt(variables)
    return {
        "run": run.name,
        "ok": all(part["up"] for part in parts.values()),
        "endpoints": endpoints,
        "parts": parts,
        "facts": facts(variables) if parts[emulator.NAME]["up"] else {},
    }


def _part(name: str, endpoints: Mapping[str, str], running: set[str]) -> dict[str, Any]:
    address = endpoints.get(_PARTS[name], "")
    # A cluster that was set by hand is no child of ours.
    runs = name in running or (name == KAFKA and not _is_local(address))
    return {
        "running": runs,
        "up": runs and _answers(name, address),
        "endpoint": _PARTS[name],
    }


def _answers(name: str, address: str) -> bool:
    if name in _PATHS:
        return sockets.answers(int(address.rpartition(":")[2]), _PATHS[name])
    if name == KAFKA:
        return any(_accepts(server) for server in address.split(","))
    return True


def _accepts(server: str) -> bool:
    host, _, port = server.rpartition(":")
    return sockets.is_open(int(port), host=host.strip("[]"))


def _is_local(address: str) -> bool:
    return address == "" or address.startswith(f"{sockets.HOST}:")


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
