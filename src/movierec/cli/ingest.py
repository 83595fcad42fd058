"""`movierec ingest`: dumps and ranges of the site's log, read as the ingest worker reads it.

Each command runs the worker's code in a process of its own (`ingest_worker.command`).
"""

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from movierec.cli import context as contexts
from movierec.cli import ingest_format, progress_display
from movierec.errors import MovierecError
from movierec.stack.layout import Project
from movierec.stack.progress import Step

app = typer.Typer(help="Dumps of the site's log: check one, load one; read a part of Kafka again.")


@app.command()
def check(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(help="The log's lines, one a line; gzip too. - is standard input.")
    ],
    *,
    catalog: Annotated[
        str, typer.Option(help="An export of the site's movies, as `catalog load` takes it.")
    ] = "",
) -> None:
    """Say what a dump of the site's log holds, and which settings its site needs.

    Stores nothing, and needs no run. Lines are judged by the limits that are set now.
    """
    here = contexts.of(context)
    arguments = [*([f"--catalog={catalog}"] if catalog else []), "--", file]
    report = execute(here.run.project, "check", arguments, f"reading {ingest_format.name(file)}")
    _show(here, report, ingest_format.check(report))


@app.command("file")
def load(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="The log's lines, one a line; gzip too.")],
    *,
    topic: Annotated[
        str, typer.Option(help="Of the rows; file-<the file's name> if not given.")
    ] = "",
) -> None:
    """Load a dump of the site's log into the run's lake, each line exactly once.

    Repeated, or after a kill, it goes on where it was. A line's offset is its number in the file,
    from 0. Its time is converted by MOVIEREC_SITE_TIMEZONE, else by the records' times if the dump
    has them, else taken as UTC and marked as assumed.
    """
    here = contexts.of(context)
    here.enter()
    arguments = [*([f"--topic={topic}"] if topic else []), "--", file]
    report = execute(here.run.project, "load", arguments, f"loading {ingest_format.name(file)}")
    _show(here, report, ingest_format.loaded(report))


@app.command()
def replay(
    context: typer.Context,
    *,
    into: Annotated[str, typer.Option(help="A new table of the lake, with the columns of events.")],
    topic: Annotated[str, typer.Option(help="MOVIEREC_TOPIC's first if not given.")] = "",
    partition: Annotated[
        list[int] | None, typer.Option(help="One of the topic's; once for each; all if none.")
    ] = None,
    from_offset: Annotated[int | None, typer.Option(help="The first, in each partition.")] = None,
    from_time: Annotated[str, typer.Option(help="Kafka's time of the first; UTC.")] = "",
    until_offset: Annotated[int | None, typer.Option(help="The first that is not read.")] = None,
    until_time: Annotated[str, typer.Option(help="Kafka's time of the first not read; UTC.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Empty the table first.")] = False,
) -> None:
    """Read a range of Kafka into a new table, as the worker would read it now.

    With the parser, the settings and the site's clock of now; then it is compared with events,
    which stay as they are.
    """
    here = contexts.of(context)
    here.enter()
    given = {
        "--topic": topic,
        "--from-offset": from_offset,
        "--from-time": from_time,
        "--until-offset": until_offset,
        "--until-time": until_time,
    }
    arguments = [f"--into={into}", *(f"--partition={one}" for one in partition or ())]
    arguments += [f"{name}={value}" for name, value in given.items() if value not in {None, ""}]
    arguments += ["--overwrite"] if overwrite else []
    report = execute(here.run.project, "replay", arguments, f"replaying into {into}")
    _show(here, report, ingest_format.replayed(report))


def _show(
    here: contexts.Context, report: Mapping[str, Any], lines: Iterable[ingest_format.Line]
) -> None:
    if here.as_json:
        progress_display.print_json(dict(report))
        return
    for line in lines:
        progress_display.print_line(*line)


class ProcessError(MovierecError):
    """The worker's code failed, with its own message and exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def execute(
    project: Project, module: str, arguments: Sequence[str], name: str
) -> Mapping[str, Any]:
    """Run a module of `ingest_worker` to its end and return its report. Raises MovierecError."""
    # -P: the user's folder, in which the file is, must not be searched for modules.
    command = [str(project.python), "-P", "-m", f"ingest_worker.{module}", *arguments]
    env = {**os.environ, "PYTHONPATH": str(project.root)}
    with progress_display.progress() as progress, progress.step(name) as step:
        with _started(command, env) as process:
            said = [_heard(step, json.loads(line)) for line in process.stdout or ()]
        last = said[-1] if said else {}
        if "error" in last:
            raise ProcessError(last["error"], process.returncode)
        if process.returncode or "report" not in last:
            raise ProcessError(
                f"{' '.join(command[3:])} ended with code {process.returncode} before its end",
                max(process.returncode, 1),
            )
    found: Mapping[str, Any] = last["report"]
    return found


@contextmanager
def _started(command: Sequence[str], env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run a program during the block, and wait for its end after it."""
    try:
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    except OSError as exc:
        raise ProcessError(f"{Path(command[0])}: {exc.strerror}; run `make setup`", 1) from exc
    with process:
        yield process


def _heard(step: Step, said: dict[str, Any]) -> dict[str, Any]:
    """Show what the process says; return it if it is the end."""
    if done := said.get("progress"):
        total = done["total"]
        step.update(done["done"] if total else None, total, f"{done['lines']:,} lines")
    if note := said.get("note"):
        progress_display.print_note(note)
    return said
