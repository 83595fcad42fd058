"""`movierec down`, `status` and `env`: stop a run, show its status, print its environment."""

import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import typer

from movierec import settings
from movierec.cli import context as contexts
from movierec.cli import progress_display, status_format
from movierec.errors import UnavailableError
from movierec.stack import run_environment, run_record, run_status
from movierec.stack.layout import Run
from movierec.stack.processes.client import NAME, Client

_SILENT = "silent"
_UNREACHABLE = "unreachable"
_WIDTH = len(_UNREACHABLE)


def down(
    context: typer.Context,
    *,
    wipe: Annotated[bool, typer.Option(help="Forget everything: delete the run's folder.")] = False,
) -> None:
    """Stop everything that `up` started, in order; say what is kept and where."""
    here = contexts.of(context)
    there = here.run.folder.is_dir()
    stopped = _stop(here, wipe=wipe) if there else ()
    if here.as_json:
        wiped = there and wipe
        progress_display.print_json(
            {"stopped": list(stopped), "wiped": wiped, "folder": str(here.run.folder)}
        )
    elif not there:
        progress_display.print_line(f"run {here.run.name} was never up")
    else:
        progress_display.print_line(f"stopped: {', '.join(stopped) or 'nothing ran'}")
        progress_display.print_line(
            f"deleted {here.run.folder}"
            if wipe
            else f"kept in {here.run.folder}: Kafka's log, the proxy's journal, and the emulator's "
            "lake, models, functions and releases; `movierec up` resumes, `down --wipe` forgets"
        )


def _stop(here: contexts.Context, *, wipe: bool) -> tuple[str, ...]:
    with run_record.exclusive(here.run, "movierec down"), progress_display.progress() as progress:
        with progress.step("stopping"):
            stopped = stop_all(here.run)
        here.run.environment.unlink(missing_ok=True)
        if wipe:
            shutil.rmtree(here.run.folder)
    return stopped


def stop_all(run: Run) -> tuple[str, ...]:
    """Stop a run's daemon and processes; return the names of those that ran."""
    client = Client(run)
    daemon = (NAME,) if client.running() else ()
    return (*daemon, *client.stop_all())


def status(context: typer.Context) -> None:
    """Show what runs, where it answers, and how far the lake is behind; exit 3 unless all is up."""
    print_status(contexts.of(context))


def env(context: typer.Context) -> None:
    """Print the run's environment variables for a shell: eval "$(movierec env)"."""
    here = contexts.of(context)
    variables = {contexts.RUN: here.run.name, **run_environment.load(here.run)}
    if here.as_json:
        progress_display.print_json(variables)
        return
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def print_status(here: contexts.Context) -> None:
    """Show a run's status. Raises UnavailableError unless everything is up."""
    found = run_status.collect(here.run)
    if here.as_json:
        progress_display.print_json(found)
    else:
        _print_table(found)
    if not found["ok"]:
        raise UnavailableError(f"{fault(found)}; logs are in {here.run.logs}")


def fault(found: Mapping[str, Any]) -> str:
    """Return which parts of a run are not up, and what to do about it."""
    labels = {name: _label(part)[0] for name, part in found["parts"].items() if not part["up"]}
    listed = ", ".join(f"{name} {label}" for name, label in labels.items())
    return f"run {found['run']}: {listed}: {', then '.join(_remedies(found, labels))}"


def _remedies(found: Mapping[str, Any], labels: Mapping[str, str]) -> Iterator[str]:
    """Yield what to do about the parts that are not up, in this order."""
    for name in (name for name, label in labels.items() if label == _UNREACHABLE):
        servers = found["endpoints"][found["parts"][name]["endpoint"]]
        other = f"name another in {settings.KAFKA_BOOTSTRAP}"
        yield f"start {servers}, which is not the run's own, or {other}"
    if _SILENT in labels.values():  # a process that hangs is kept by `up`
        yield "`movierec down`"
    yield "`movierec up`"


def _print_table(found: dict[str, Any]) -> None:
    now_s = time.time()
    for name, part in found["parts"].items():
        where = found["endpoints"].get(part["endpoint"], "")
        label, style = _label(part)
        details = "  ".join(filter(None, (where, status_format.restarts(part, now_s))))
        progress_display.print_line(
            (f"{label:<{_WIDTH}}", style), f" {name:<12} {details}".rstrip()
        )
    if found["state"] is not None:
        progress_display.print_line(
            f"{'':<{_WIDTH}} {'state':<18} {status_format.state(found['state'], now_s)}"
        )
    for name, value in found["facts"].items():
        for line in status_format.fact(name, value):
            progress_display.print_line(f"{'':<{_WIDTH}} {line}")
    if found["facts"]:
        # boto3 takes a second, which only a run that is up need wait for.
        from movierec.aws.release_executions import has_running_execution  # noqa: PLC0415

        for release in interrupted(found["facts"], has_running_execution):
            progress_display.print_note(
                f"release {release}: its state machine has stopped, and evaluates it no more: "
                f"`movierec release resume {release}`"
            )


def interrupted(
    facts: Mapping[str, Any], has_running_execution: Callable[[str], bool]
) -> list[str]:
    """Return open releases without a running execution: the emulator's end has aborted it."""
    under_way = facts["releases_under_way"]
    if not isinstance(under_way, list):  # what could not be found out
        return []
    return [release for release in under_way if not has_running_execution(release)]


def _label(part: dict[str, Any]) -> tuple[str, str]:
    if part["external"]:
        return ("external", "green") if part["up"] else (_UNREACHABLE, "red")
    if part["up"]:
        return "up", "green"
    return (_SILENT, "yellow") if part["running"] else ("down", "red")
