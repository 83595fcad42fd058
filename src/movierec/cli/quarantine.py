"""`movierec quarantine`: what is in quarantine, and lines of it replayed by the present rules."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from movierec.aws.delta_lake import DeltaLake
from movierec.cli import context as contexts
from movierec.cli import progress_display
from movierec.errors import TableNotFoundError, UsageError
from movierec.lake.quarantined import Selection
from movierec.lake.schema import QUARANTINE

app = typer.Typer(help="Lines that are no events: what is wrong with them, and try them again.")

_COUNTS: Final = """
    select reason, count(*) as lines, cast(min(ingested_at) as varchar) as oldest,
    cast(max(ingested_at) as varchar) as newest
    from quarantine group by reason order by 2 desc, 1
"""
# A query for each reason keeps no more than the examples in memory.
_EXAMPLES: Final = """
    select raw from quarantine where reason = '{reason}'
    order by ingested_at desc, kafka_offset desc limit {most}
"""
_LONGEST: Final = 200

Time = Annotated[str, typer.Option(metavar="TIME", help="As 2026-11-20T10:00; UTC if it has none.")]


@app.command("list")
def show(
    context: typer.Context,
    *,
    examples: Annotated[int, typer.Option(min=0, help="Lines to show of each reason.")] = 2,
) -> None:
    """Count the lines in quarantine by reason, with the newest of each."""
    here = contexts.of(context)
    here.enter()
    found = _listed(DeltaLake.from_env(os.environ), examples)
    if here.as_json:
        progress_display.print_json({"reasons": found})
        return
    for one in found:
        reason, lines = one["reason"], one["lines"]
        progress_display.print_line(
            f"{reason:<22}{lines:>12,}  {one['oldest'][:19]} to {one['newest'][:19]}"
        )
        for example in one["examples"]:
            progress_display.print_line(f"    {example}")
    if not found:
        progress_display.print_line("nothing is in quarantine")


@app.command()
def replay(
    context: typer.Context,
    *,
    reason: Annotated[
        list[str] | None, typer.Option(help="Lines of this reason; again for more, all if none.")
    ] = None,
    since: Time = "",
    until: Time = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be admitted; change nothing.")
    ] = False,
) -> None:
    """Read lines of quarantine again, and admit those that are events now, each exactly once.

    By the present limits, parser and catalog: after a catalog load, say. Times are when a line came
    to quarantine. The others stay as they are, and duplicates are never admitted.
    """
    here = contexts.of(context)
    # Says what is wrong before a process is started.
    chosen = Selection.of(reason or (), _time("--since", since), _time("--until", until))
    here.enter()
    found = _replay(here, _arguments(chosen, reason or (), dry_run=dry_run))
    if here.as_json:
        progress_display.print_json(found)
        return
    left = ", ".join(f"{count:,} {name}" for name, count in found["left"].items())
    did = "would be admitted" if dry_run else "admitted"
    progress_display.print_line(
        f"{did}: {found['admitted']:,}" + (f"; left: {left}" if left else "")
    )
    if found["unknown_movies"]:
        progress_display.print_line(
            f"unknown movies: {found['unknown_movies']:,}; `movierec catalog load` brings an export"
        )


def _arguments(chosen: Selection, reasons: Sequence[str], *, dry_run: bool) -> list[str]:
    times = {"--since": chosen.since, "--until": chosen.until}
    return [
        *(f"--reason={one}" for one in reasons),
        *(f"{name}={time.isoformat()}" for name, time in times.items() if time),
        *(["--dry-run"] if dry_run else []),
    ]


def _replay(here: contexts.Context, arguments: Sequence[str]) -> dict[str, Any]:
    """Run the worker's code, which the library does not import. Raises typer.Exit if it fails."""
    project = here.run.project
    command = [str(project.python), "-m", "ingest_worker.quarantine_command", *arguments]
    done = subprocess.run(command, cwd=project.root, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise typer.Exit(done.returncode)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _time(option: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as exc:
        raise UsageError(f"{option} is {text!r}: expected a time as 2026-11-20T10:00") from exc
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _listed(lake: DeltaLake, examples: int) -> list[Mapping[str, Any]]:
    try:
        rows = lake.query(_COUNTS, {QUARANTINE.name: None})
    except TableNotFoundError:
        return []
    names = ("reason", "lines", "oldest", "newest")
    columns = [rows.column(name).to_pylist() for name in names]
    found = [dict(zip(names, one, strict=True)) for one in zip(*columns, strict=True)]
    return [one | {"examples": _examples(lake, one["reason"], examples)} for one in found]


def _examples(lake: DeltaLake, reason: str, most: int) -> list[str]:
    sql = _EXAMPLES.format(reason=reason, most=most)
    raw = lake.query(sql, {QUARANTINE.name: None}).column("raw").to_pylist()
    return [line[:_LONGEST].decode("utf-8", "backslashreplace") for line in raw]
