"""`movierec simulate`: the streaming site, as a process of its own that this one watches."""

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from movierec import settings
from movierec.cli import context as contexts
from movierec.cli import progress_display
from movierec.stack import run_environment
from movierec.stack.layout import Run
from movierec.stack.processes.client import Client, Program
from movierec.stack.processes.spec import Spec
from movierec.stack.progress import Step
from movierec.stack.services import workers

# The simulator's own default, said here so that a bar has an end.
_EVENTS = 1_000_000
_LOOK_EVERY_S = 0.5
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def simulate(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None, typer.Argument(help="As for python -m simulator; --help lists them.")
    ] = None,
) -> None:
    """Be the streaming site: users who watch and rate, and ask this run for recommendations."""
    here = contexts.of(context)
    given = [*(arguments or ()), *context.args]
    wants_help = not {"-h", "--help"}.isdisjoint(given)
    variables = {} if wants_help else run_environment.load(here.run)
    given = [*_defaults(here.run, variables), *given]
    spec = workers.simulator(here.run, "simulate", given, variables, os.environ)
    on_terminal = sys.stdout.isatty() and sys.stderr.isatty()
    if wants_help or not (on_terminal or here.as_json):
        # In this process's place: nothing is to be shown beside what it says itself.
        os.chdir(spec.cwd)
        os.execve(spec.command[0], list(spec.command), dict(spec.env))  # noqa: S606
    watched, start_s = watched_of(given), time.time()
    try:
        watch(here.run, spec, watched)
    finally:
        if here.as_json:
            progress_display.say_json(account(watched.ledger, since_s=start_s) or {})


@dataclass(frozen=True, slots=True)
class Watched:
    """What a simulation was asked for, as far as it can be watched."""

    ledger: Path
    backfill: bool
    events: int


def watched_of(arguments: Sequence[str]) -> Watched:
    """Return what the simulator's arguments ask for; it checks them itself."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    for name in ("--ledger", "--backfill", "--events"):
        parser.add_argument(name, nargs="?", default="")
    given, _ = parser.parse_known_args(arguments)
    events = int(given.events) if str(given.events).isdecimal() else _EVENTS
    return Watched(Path(given.ledger or os.devnull), bool(given.backfill), events)


def account(ledger: Path, *, since_s: float = 0.0) -> Mapping[str, Any] | None:
    """Return the simulator's account, None while there is none that is as new as `since_s`."""
    try:
        if ledger.stat().st_mtime < since_s:
            return None
        found: Mapping[str, Any] = json.loads(ledger.read_bytes())
    except (OSError, ValueError):
        return None
    return found


def show(step: Step, watched: Watched, found: Mapping[str, Any]) -> None:
    """Show how far the simulator is: lines of the history, then requests of the living site."""
    asked = found["requests"]
    lines = found["lines"]["total"] + found["unconfirmed"]
    if asked["total"]:
        note = f"{asked['total']:,} requests, availability {asked['availability']:.2%}"
        step.update(note=f"{note}, {lines:,} lines")
    elif watched.backfill:
        step.update(min(lines, watched.events), watched.events, f"{lines:,} lines")


def _defaults(run: Run, variables: Mapping[str, str]) -> list[str]:
    port = variables.get(settings.SITE_URL, ":8080").rpartition(":")[2]
    return [
        "--prog=movierec simulate",
        f"--site-port={port}",
        f"--ledger={run.site / 'ledger.json'}",
        f"--events={_EVENTS}",
    ]


def watch(run: Run, spec: Spec, watched: Watched) -> None:
    """Run the simulator to its end. Raises typer.Exit with its exit code, unless that is 0.

    It is a child of the run: `movierec down` stops it too.
    """
    start_s = time.time()
    with (
        progress_display.progress() as progress,
        progress.step("simulating") as step,
        Client(run) as client,
        client.stream(spec) as program,
        _passing_signals_to(program),
    ):
        copy = threading.Thread(target=_copy, args=(program,), daemon=True)
        copy.start()
        while (code := program.poll()) is None:
            if found := account(watched.ledger, since_s=start_s):
                show(step, watched, found)
            copy.join(_LOOK_EVERY_S)
        copy.join()
        if code:
            raise typer.Exit(code if code > 0 else 128 - code)  # as shells count signals


def _copy(program: Program) -> None:
    for line in program.stdout or ():
        progress_display.note(line.rstrip("\n"))


@contextmanager
def _passing_signals_to(program: Program) -> Iterator[None]:
    def send(number: int, _frame: object) -> None:
        program.send_signal(number)

    before = {number: signal.signal(number, send) for number in _PASSED_ON}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
