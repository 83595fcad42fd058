"""The status of a run: what runs, where it answers, the lake's lag, who gets which model."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final

from movierec import settings
from movierec.api_contract import VERSION_PATH
from movierec.errors import UnavailableError
from movierec.kafka.connectivity import reachable
from movierec.stack import loopback_ports, run_environment
from movierec.stack.layout import Run
from movierec.stack.loopback_ports import EMULATOR, INGEST, KAFKA, PROXY
from movierec.stack.processes.client import NAME as DAEMON
from movierec.stack.processes.client import Client
from movierec.stack.processes.spec import Process
from movierec.stack.services import emulator

# Which part answers at which endpoint; the API lives in the emulator.
_PARTS: Final[Mapping[str, str]] = {
    EMULATOR: "aws",
    KAFKA: "kafka",
    INGEST: "",
    PROXY: "proxy",
    DAEMON: "",
}

# Of a cluster elsewhere, too.
_REACHED_WITHIN_S: Final = 2.0

# What answers even when there is nothing to recommend.
_PATHS: Final[Mapping[str, str]] = {
    EMULATOR: "/_localstack/health",
    PROXY: VERSION_PATH,
}


def collect(run: Run) -> dict[str, Any]:
    """Return a run's status: `ok`, `endpoints`, `parts`, `state`, `facts`; all JSON.

    A part is `up` when its process runs and it answers. One that is `external`, Kafka servers that
    the user has named, has no process here. `state` is what the emulator has on the disk, None
    when it does not answer. Never raises for what is down: what cannot be found out is said in its
    place.
    """
    try:
        variables = run_environment.load(run)
    except UnavailableError:
        variables = {}
    run_environment.adopt(variables)
    endpoints = _endpoints(run, variables)
    running = Client(run).running()
    foreign = {KAFKA} if loopback_ports.are_foreign(run, endpoints.get(_PARTS[KAFKA], "")) else ()
    parts = {name: _part(name, endpoints, running, external=name in foreign) for name in _PARTS}
    if running:
        parts[DAEMON] |= {"running": True, "up": True}
    state, facts = None, {}
    if parts[EMULATOR]["up"]:
        # boto3, Delta Lake and Kafka take longer than all the rest: only a run that is up is asked.
        from movierec.stack import status_details  # noqa: PLC0415

        facts = status_details.collect(variables)
        with suppress(UnavailableError):
            state = asdict(emulator.kept(_port(endpoints[_PARTS[EMULATOR]])))
    return {
        "run": run.name,
        "ok": all(part["up"] for part in parts.values()),
        "endpoints": endpoints,
        "parts": parts,
        "state": state,
        "facts": facts,
    }


def _part(
    name: str, endpoints: Mapping[str, str], running: Collection[Process], *, external: bool
) -> dict[str, Any]:
    mine = [process for process in running if process.group == name and not external]
    runs = external or bool(mine)
    return {
        "running": bool(mine),
        "up": runs and _answers(name, endpoints.get(_PARTS[name], "")),
        "external": external,
        "endpoint": _PARTS[name],
        "restarts": sum(process.restarts for process in mine),
        "started_at_s": max((process.started_at_s for process in mine), default=None),
    }


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _answers(name: str, address: str) -> bool:
    if name in _PATHS:
        return loopback_ports.answers(_port(address), _PATHS[name])
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
