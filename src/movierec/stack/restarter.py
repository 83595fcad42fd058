"""The process that starts again what died: `python -m movierec.stack.restarter ROOT FOLDER`.

`movierec up` starts it last and `movierec down` stops it first. It looks at what the run's record
holds: a part that is there and dead, and that nobody is stopping on purpose, is started as `up`
would, at first at once, then ever later while it goes on dying. Nobody is waited for meanwhile: an
emulator that comes back does not keep a broker from coming back.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from movierec import settings
from movierec.errors import MovierecError
from movierec.runtime import entrypoint
from movierec.stack import port_allocation, run_environment, run_record
from movierec.stack.layout import Project, Run
from movierec.stack.processes import child_environment
from movierec.stack.processes.programs import Spec, tail
from movierec.stack.processes.supervisor import Supervisor
from movierec.stack.run_record import Process
from movierec.stack.services import emulator, kafka_broker, workers

log = logging.getLogger(__name__)

NAME: Final = "supervisor"

_LOOK_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class BackOff:
    """How long a part stays dead before each start.

    Not at all the first time, then a second, and twice as long each time, up to a minute. A part
    that has lived for a while begins anew. As Kubernetes does with containers, whose times are ten
    seconds and five minutes: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
    """

    first_s: float = 1.0
    longest_s: float = 60.0
    forgiven_after_s: float = 60.0

    def delay_s(self, deaths: int) -> float:
        """Return the pause after so many deaths in a row, the first of them number 1."""
        return 0.0 if deaths <= 1 else min(self.longest_s, self.first_s * 2.0 ** (deaths - 2))


@dataclass(slots=True)
class _Part:
    """What is known of a part beside its record."""

    spec: Spec
    deaths: int = 0
    """In a row."""
    since_s: float = 0.0
    """Since when it lives, or has been dead."""
    is_dead: bool = False
    is_awaited: bool = False
    """Whether it was started here and is not ready yet."""


class Watch:
    """Looks after a run's parts."""

    def __init__(
        self,
        supervisor: Supervisor,
        specs: Sequence[Spec],
        back_off: BackOff = BackOff(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._supervisor = supervisor
        self._back_off = back_off
        self._clock = clock
        self._parts = {spec.name: _Part(spec, since_s=clock()) for spec in specs}

    def look(self) -> None:
        """Start what is due, once."""
        for process in run_record.load(self._supervisor.run).processes:
            part = self._parts.get(process.name)
            if part is None or process.stopping:
                continue
            if self._supervisor.is_alive(process):
                self._welcome(part, process)
            else:
                self._revive(part, process)

    def _welcome(self, part: _Part, process: Process) -> None:
        if part.is_dead:  # somebody else has started it
            part.is_dead, part.since_s = False, self._clock()
        lived_s = self._clock() - part.since_s
        if part.is_awaited and (part.spec.ready is None or part.spec.ready()):
            part.is_awaited = False
            log.info("part_back", extra={"part": process.name, "after_s": round(lived_s, 1)})
        if lived_s >= self._back_off.forgiven_after_s:
            part.deaths = 0

    def _revive(self, part: _Part, process: Process) -> None:
        now_s = self._clock()
        if not part.is_dead:
            part.is_dead, part.since_s, part.deaths = True, now_s, part.deaths + 1
            self._say_dead(part, process)
        if now_s - part.since_s >= self._back_off.delay_s(part.deaths):
            self._start(part)

    def _say_dead(self, part: _Part, process: Process) -> None:
        facts = {
            "part": process.name,
            "pid": process.pid,
            "deaths": part.deaths,
            "start_in_s": self._back_off.delay_s(part.deaths),
            "said": tail(process.log).splitlines()[-1].strip(),
        }
        log.error("part_died", extra=facts)

    def _start(self, part: _Part) -> None:
        part.is_dead, part.since_s, part.is_awaited = False, self._clock(), True
        try:
            started = self._supervisor.restart(part.spec)
        except MovierecError as exc:
            # Tried again, as after any death: a full disk may be free in a minute.
            log.error("part_not_started", extra={"part": part.spec.name, "error": str(exc)})  # noqa: TRY400
        else:
            facts = {"part": started.name, "pid": started.pid, "restarts": started.restarts}
            log.warning("part_started", extra=facts)


def spec(run: Run, variables: Mapping[str, str], inherited: Mapping[str, str]) -> Spec:
    """Return how to start the watch over a run that is up."""
    return Spec(
        name=NAME,
        command=(str(run.project.python), "-m", __name__, str(run.project.root), str(run.folder)),
        env=child_environment.basic(inherited, path=run.project.path) | dict(variables),
        cwd=run.project.root,
    )


def watched(run: Run, inherited: Mapping[str, str]) -> tuple[Spec, ...]:
    """Return how each part of a run that is up was started. Raises UnavailableError if none is."""
    variables = run_environment.load(run)
    own_kafka = not port_allocation.are_foreign(run, variables.get(settings.KAFKA_BOOTSTRAP, ""))
    return (
        emulator.spec(run, inherited),
        *(kafka_broker.specs(run, inherited) if own_kafka else ()),
        workers.ingest(run, variables, inherited),
        workers.proxy(run, variables, inherited),
    )


def main(root: Path, folder: Path) -> int:
    """Watch until SIGTERM. Returns the exit code."""
    return entrypoint.run(NAME, lambda: _watch(Run(Project(root), folder)))


def _watch(run: Run) -> None:
    stop: threading.Event = entrypoint.stop_event()
    watch = Watch(Supervisor(run), watched(run, dict(os.environ)))
    while not stop.wait(_LOOK_S):
        watch.look()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
