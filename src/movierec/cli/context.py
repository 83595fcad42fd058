"""Context of a command: its run and output format, and the options that choose them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from movierec import settings
from movierec.stack import run_environment
from movierec.stack.layout import DEFAULT_RUN, Run, find_project

RUN: Final = "MOVIEREC_RUN"
"""Environment variable: which run, where the command line does not say."""

_PANEL: Final = "Options of every command"
_CHOSEN: Final = "movierec.cli"


@dataclass(frozen=True, slots=True)
class Context:
    """The run that a command works on, and its output format."""

    run: Run
    as_json: bool
    named: bool = False
    """Whether the run was named on the command line, not by an environment variable."""

    def enter(self) -> None:
        """Load the run's environment variables into this process. Raises UnavailableError.

        A run named on the command line overrides variables that `movierec env` has set in the
        shell, perhaps those of another run.
        """
        if self.named or not os.environ.get(settings.LAKE_BUCKET):
            run_environment.adopt(run_environment.load(self.run))


def of(context: typer.Context) -> Context:
    """Return the context from options given before or after the command.

    Raises ConfigError without a checkout, UsageError for an invalid run name.
    """
    chosen = _chosen(context)
    name = chosen.get("run") or os.environ.get(RUN) or DEFAULT_RUN
    run = find_project(os.environ, Path.cwd()).run(name)
    return Context(run, as_json=bool(chosen.get("json")), named="run" in chosen)


def accept_everywhere(command: TyperCommand | TyperGroup) -> None:
    """Add the common options to a command and to its subcommands."""
    command.params += options()
    if isinstance(command, TyperGroup):
        for below in command.commands.values():
            accept_everywhere(below)  # type: ignore[arg-type]  # typer makes no other


def options() -> list[Any]:
    """Return the common options as parameters, made by typer from a signature."""
    app = typer.Typer(add_completion=False)
    app.command()(_signature)
    return typer.main.get_command(app).params


def _choose(context: typer.Context, param: typer.CallbackParam, value: Any) -> None:  # noqa: ANN401
    """Store an option's value; the last one wins, and a subcommand's over its parent's."""
    if value is not None and param.name is not None:
        _chosen(context)[param.name] = value


def _chosen(context: typer.Context) -> dict[str, Any]:
    found: dict[str, Any] = context.meta.setdefault(_CHOSEN, {})
    return found


def _signature(
    run: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Which run: its folder is var/<run>/; else ${RUN}, else {DEFAULT_RUN}.",
            callback=_choose,
            expose_value=False,
            rich_help_panel=_PANEL,
        ),
    ] = None,
    *,
    json: Annotated[
        bool | None,
        typer.Option(
            "--json/--no-json",
            help="Print results as JSON on standard output.",
            show_default=False,
            callback=_choose,
            expose_value=False,
            rich_help_panel=_PANEL,
        ),
    ] = None,
) -> None: ...
