"""`movierec ingest`: dumps and ranges of the site's log, read as the ingest worker reads it.

Each command runs the worker's code in a process of its own (`ingest_worker.command`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer

from movierec.cli import context as contexts
from movierec.cli import ingest_format, progress_display, project_process
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
    report = _execute(here.run.project, "check", arguments, f"reading {ingest_format.name(file)}")
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
    report = _execute(here.run.project, "load", arguments, f"loading {ingest_format.name(file)}")
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
    report = _execute(here.run.project, "replay", arguments, f"replaying into {into}")
    _show(here, report, ingest_format.replayed(report))


def _show(
    here: contexts.Context, report: Mapping[str, Any], lines: Iterable[ingest_format.Line]
) -> None:
    if here.as_json:
        progress_display.print_json(dict(report))
        return
    for line in lines:
        progress_display.print_line(*line)


def _execute(
    project: Project, module: str, arguments: Sequence[str], name: str
) -> Mapping[str, Any]:
    return project_process.execute(project, f"ingest_worker.{module}", arguments, name, _show_lines)


def _show_lines(step: Step, done: Mapping[str, Any]) -> None:
    total = done["total"]
    step.update(done["done"] if total else None, total, f"{done['lines']:,} lines")
