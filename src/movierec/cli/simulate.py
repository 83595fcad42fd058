"""`movierec simulate`: run the streaming site as a child process, and show its progress."""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperOption

from movierec import settings
from movierec.cli import context as contexts
from movierec.cli import progress_display
from movierec.stack import loopback_ports, run_environment
from movierec.stack.layout import Run
from movierec.stack.processes.client import Client
from movierec.stack.processes.spec import Program, Spec
from movierec.stack.progress import Step
from movierec.stack.services import workers

# The simulator's own default, repeated here so that the progress bar has a total.
_EVENTS = 1_000_000
_PROG = "--prog=movierec simulate"
_SIZES = {"--users": settings.SIMULATOR_USERS, "--movies": settings.SIMULATOR_MOVIES}
_POLL_S = 0.5
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def simulate(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None, typer.Argument(help="The simulator's; --help lists them.")
    ] = None,
) -> None:
    """Be the streaming site: users who watch and rate, and ask this run for recommendations."""
    here = contexts.of(context)
    given = [*(arguments or ()), *context.args]
    if not {"-h", "--help"}.isdisjoint(given):
        _help(context, here.run)
        return
    variables = run_environment.load(here.run)
    given = [*_defaults(here.run, given), *given]
    env = workers.environment(here.run, variables, os.environ)
    spec = workers.simulator(here.run, "simulate", given, env)
    on_terminal = sys.stdout.isatty() and sys.stderr.isatty()
    if not (on_terminal or here.as_json):
        # Replaces this process: the simulator prints all that there is to show.
        os.chdir(spec.cwd)
        os.execve(spec.command[0], list(spec.command), dict(spec.env))  # noqa: S606
    watched, start_s = watched_of(given), time.time()
    try:
        watch(here.run, spec, watched)
    finally:
        if here.as_json:
            progress_display.print_json(read_ledger(watched.ledger, since_s=start_s) or {})


@dataclass(frozen=True, slots=True)
class Watched:
    """Arguments of a simulation that its progress display needs."""

    ledger: Path
    backfill: bool
    events: int


def watched_of(arguments: Sequence[str]) -> Watched:
    """Parse the simulator's arguments for the display; the simulator validates them."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    for name in ("--ledger", "--backfill", "--events"):
        parser.add_argument(name, nargs="?", default="")
    given, _ = parser.parse_known_args(arguments)
    events = int(given.events) if str(given.events).isdecimal() else _EVENTS
    return Watched(Path(given.ledger or os.devnull), bool(given.backfill), events)


def read_ledger(ledger: Path, *, since_s: float = 0.0) -> Mapping[str, Any] | None:
    """Return the simulator's ledger, or None while it is older than `since_s`."""
    try:
        if ledger.stat().st_mtime < since_s:
            return None
        found: Mapping[str, Any] = json.loads(ledger.read_bytes())
    except (OSError, ValueError):
        return None
    return found


def show(step: Step, watched: Watched, found: Mapping[str, Any]) -> None:
    """Show progress: lines of the history, then requests of live traffic."""
    asked = found["requests"]
    lines = found["lines"]["total"] + found["unconfirmed"]
    if asked["total"]:
        note = f"{asked['total']:,} requests, availability {asked['availability']:.2%}"
        step.update(note=f"{note}, {lines:,} lines")
    elif watched.backfill:
        step.update(min(lines, watched.events), watched.events, f"{lines:,} lines")


def _help(context: typer.Context, run: Run) -> None:
    """Print the simulator's help and the common options."""
    env = workers.environment(run, {}, os.environ)
    spec = workers.simulator(run, "simulate", [_PROG, "--help"], env)
    subprocess.run(spec.command, cwd=spec.cwd, env=spec.env, check=True)
    typer.echo("\noptions of every command:")
    for option in context.command.params:
        if isinstance(option, TyperOption):
            names, text = option.get_help_record(context) or ("", "")
            typer.echo(f"  {names:<21} {text}")


def _defaults(run: Run, given: Sequence[str]) -> Iterator[str]:
    """Yield default arguments, put before those `given`, which override them."""
    yield _PROG
    yield f"--site-port={loopback_ports.port(run, loopback_ports.SITE)}"
    yield f"--ledger={run.site / 'ledger.json'}"
    yield f"--site-state={run.site / 'growth.json'}"
    yield f"--events={os.environ.get(settings.SIMULATOR_EVENTS) or _EVENTS}"
    if any(argument.startswith("--movielens") for argument in given):
        return  # which brings its own
    for name, variable in _SIZES.items():
        if os.environ.get(variable):
            yield f"{name}={os.environ[variable]}"


def watch(run: Run, spec: Spec, watched: Watched) -> None:
    """Run the simulator to its end. Raises typer.Exit with its exit code, unless that is 0.

    The run's daemon owns it: `movierec down` stops it too.
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
        while copy.is_alive():
            if found := read_ledger(watched.ledger, since_s=start_s):
                show(step, watched, found)
            copy.join(_POLL_S)
        if code := program.wait():
            raise typer.Exit(code if code > 0 else 128 - code)  # as shells count signals


def _copy(program: Program) -> None:
    for line in program.stdout:
        progress_display.print_note(line.rstrip("\n"))


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
