"""The product's own long-running parts as child processes of a run."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from movierec import settings
from movierec.api_contract import HEALTH_PATH
from movierec.stack import loopback_ports
from movierec.stack.layout import Run
from movierec.stack.processes import child_environment
from movierec.stack.processes.spec import Readiness, Spec

# A flush that waits for the lake, and the journal's last shipment, end within this.
_GRACE_S: Final = 20.0

# The API's environments are processes of this machine here: more at once than it has cores to run
# them on answer no sooner. Twice as many, for half of a call is LocalStack's own work.
_API_CALLS: Final = 2 * (os.cpu_count() or 1)


def environment(
    run: Run, variables: Mapping[str, str], inherited: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of a worker, whose run's `variables` are added to the user's."""
    return child_environment.basic(inherited, path=run.project.path) | dict(variables)


def ingest(run: Run, env: Mapping[str, str]) -> Spec:
    """Return how to start the ingest worker, which says itself when it has its partitions.

    The consumer group does not know: it counts a killed worker among its members for ten seconds
    more, and this one before it has read in the lake where to go on.
    """
    port = loopback_ports.port(run, loopback_ports.INGEST)
    command = ("ingest_worker", f"--health-port={port}")
    started = _module(run, loopback_ports.INGEST, command, env)
    return replace(started, ready=Readiness(), restart=True)


def proxy(run: Run, env: Mapping[str, str]) -> Spec:
    """Return how to start the proxy, behind a socket that outlives a restart of it."""
    port = loopback_ports.port(run, loopback_ports.PROXY)
    host = env.get(settings.LISTEN, loopback_ports.HOST)
    command = (
        "proxy",
        f"--host={host}",
        f"--port={port}",
        f"--folder={run.proxy}",
        f"--api-calls={_API_CALLS}",
    )
    started = _module(run, loopback_ports.PROXY, command, env)
    return replace(started, ready=Readiness(port, HEALTH_PATH), restart=True, listen=(host, port))


def console(run: Run, host: str, port: int, env: Mapping[str, str], *, operate: bool) -> Spec:
    """Return how to start the console, in its user's own environment: its AWS profile, say."""
    command = ("console", f"--host={host}", f"--port={port}", *(["--operate"] if operate else []))
    return _module(run, loopback_ports.CONSOLE, command, env)


def simulator(run: Run, name: str, arguments: Sequence[str], env: Mapping[str, str]) -> Spec:
    """Return how to start the simulated site under a name of its own, with its arguments."""
    return _module(run, name, ("simulator", *arguments), env)


def site(run: Run, arguments: Sequence[str], env: Mapping[str, str]) -> Spec:
    """Return how to start the site's user and movie APIs, which wait for nobody."""
    port = loopback_ports.port(run, loopback_ports.SITE)
    whole = ("--site-only", f"--site-port={port}", *arguments)
    started = simulator(run, loopback_ports.SITE, whole, env)
    return replace(started, ready=Readiness(port, "/user/1"))


def _module(run: Run, name: str, command: Sequence[str], env: Mapping[str, str]) -> Spec:
    return Spec(
        name=name,
        command=(str(run.project.python), "-m", *command),
        env=env,
        cwd=run.project.root,
        grace_s=_GRACE_S,
    )
