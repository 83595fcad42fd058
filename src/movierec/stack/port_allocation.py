"""Which port each server of a run has.

The runs `default` and `demo` have the well-known ones; any other run, free ones that it then keeps,
so that several stacks live side by side and an address noted down stays true.
"""

import random
from collections.abc import Callable, Mapping
from typing import Final

from movierec.stack import run_record
from movierec.stack.layout import DEFAULT_RUN, DEMO_RUN, Run
from movierec.stack.processes import sockets

EMULATOR: Final = "emulator"
KAFKA: Final = "kafka"
PROXY: Final = "proxy"
SITE: Final = "site"

WELL_KNOWN: Final[Mapping[str, int]] = {EMULATOR: 4566, KAFKA: 9092, PROXY: 8082, SITE: 8080}

# A newcomer looks for the demo where everything else says the service is.
_WELL_KNOWN_RUNS: Final = frozenset({DEFAULT_RUN, DEMO_RUN})

_ADVICE: Final = (
    "stop it (`movierec down` if it is an earlier run's), or use another run with --run NAME"
)


def ports(
    run: Run,
    names: tuple[str, ...] = tuple(WELL_KNOWN),
    *,
    random_source: random.Random | None = None,
    free: Callable[[int], bool] = sockets.is_free,
) -> Mapping[str, int]:
    """Return a port for each name, those that the run has already and new ones for the rest.

    New ones are recorded in run.json. Nothing is checked for being free now: see `require_free`.
    """
    source = random_source or random.SystemRandom()

    def add(before: run_record.Record) -> run_record.Record:
        return before.with_ports(_missing(run, names, before.ports, pick))

    def pick(taken: frozenset[int]) -> int:
        return sockets.free_port(source, taken=taken, free=free)

    found = run_record.load(run).ports
    if any(name not in found for name in names):
        found = run_record.update(run, add).ports
    return {name: found[name] for name in names}


def are_foreign(run: Run, servers: str) -> bool:
    """Say whether Kafka servers, `host:port` with commas, are none of the run's own.

    Be they on this machine or not: the near end of a tunnel is.
    """
    own = run_record.load(run).ports.get(KAFKA)
    return servers != "" and f"{sockets.HOST}:{own}" not in servers.split(",")


def _missing(
    run: Run,
    names: tuple[str, ...],
    known: Mapping[str, int],
    pick: Callable[[frozenset[int]], int],
) -> dict[str, int]:
    chosen: dict[str, int] = {}
    for name in (name for name in names if name not in known):
        if run.name in _WELL_KNOWN_RUNS and name in WELL_KNOWN:
            chosen[name] = WELL_KNOWN[name]
        else:
            chosen[name] = pick(frozenset((*known.values(), *chosen.values())))
    return chosen


def require_free(run: Run, name: str) -> int:
    """Return the run's port of that name. Raises UnavailableError if somebody has it already."""
    port = ports(run, (name,))[name]
    sockets.require_free(port, wanted_by=f"{name} of run {run.name}", advice=_ADVICE)
    return port
