"""`movierec dataset`: what can be proved of a data set."""

import os
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from movierec import settings
from movierec.aws.dataset_builder import DatasetBuilder
from movierec.cli import context as contexts
from movierec.cli import progress_display
from movierec.errors import DatasetError, VersionNotFoundError

app = typer.Typer(help="Data sets: build one again from the lake, and prove that it is the same.")


@app.callback()
def root() -> None:
    """Have subcommands, of which there is one."""


@app.command()
def rebuild(
    context: typer.Context,
    dataset_id: Annotated[
        str, typer.Argument(help="The data set's id, as `movierec provenance` shows it.")
    ],
) -> None:
    """Build a dataset again from the lake versions in its manifest, and compare every file.

    Changes nothing. Exits with 0 if id and all files are the same byte for byte, with 1 and the
    names of what differs if not, or if the lake no longer holds those versions.
    """
    here = contexts.of(context)
    here.enter()
    builder = DatasetBuilder(settings.require(os.environ, settings.BUILD_FUNCTION))
    with progress_display.progress() as progress, progress.step("rebuilding"):
        answer = builder.rebuild(dataset_id)
    if here.as_json:
        progress_display.print_json(dict(answer))
    else:
        _print(answer)
    if answer["gone"]:
        raise VersionNotFoundError(f"cannot be built any more: {answer['gone']}")
    if not answer["same"]:
        raise DatasetError(_differing(answer))


def _print(answer: Mapping[str, Any]) -> None:
    for check in answer["checks"]:
        mark = progress_display.CHECK if check["ok"] else progress_display.CROSS
        remark = check["note"] if check["ok"] else f"{check['expected']}; now {check['found']}"
        progress_display.print_line(mark, f" {check['name']}{': ' if remark else ''}{remark}")


def _differing(answer: Mapping[str, Any]) -> str:
    """Return what differs, and why as far as that is known."""
    names = ", ".join(check["name"] for check in answer["checks"] if not check["ok"])
    notes = "; ".join(check["note"] for check in answer["checks"] if check["note"])
    why = notes or "the same code read other rows: they were changed in the lake"
    return f"data set {answer['dataset_id']} is not the same when built again: {names} ({why})"
