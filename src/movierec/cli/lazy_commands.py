"""Registry of the commands; each is imported when it is called.

All of them together take 0.65 s to import (boto3, Delta Lake, Kafka, numpy), and 2 s where nothing
is compiled yet: `--help` must not wait for that, nor `status` for what `up` needs.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from movierec.cli import context


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command is (`module:name` in `movierec.cli`), and its line in the help."""

    place: str
    summary: str
    settings: Mapping[str, Any] = field(default_factory=dict)


COMMANDS: Final[Mapping[str, Command]] = {
    "up": Command(
        "up:up", "Start everything, and come back when everything answers; it goes on running."
    ),
    "down": Command(
        "lifecycle:down", "Stop everything that `up` started, in order; say what is kept and where."
    ),
    "status": Command(
        "lifecycle:status",
        "Show what runs, where it answers, and how far the lake is behind; "
        "exit 3 unless all is up.",
    ),
    "env": Command(
        "lifecycle:env",
        'Print the run\'s environment variables for a shell: eval "$(movierec env)".',
    ),
    "simulate": Command(
        "simulate:simulate",
        "Be the streaming site: users who watch and rate, and ask this run for recommendations.",
        # Its options, --help among them, are the simulator's.
        {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    ),
    "retrain": Command(
        "retrain:retrain",
        "Build a dataset from the lake and train a model on it; follow the state machine.",
    ),
    "tune": Command(
        "tune:tune",
        "Search for the best training parameters of a data set, never on its test part.",
    ),
    "dataset": Command(
        "dataset_rebuild:app",
        "Data sets: build one again from the lake, and prove that it is the same.",
    ),
    "recommend": Command(
        "recommend:recommend",
        "Ask for a user's recommendations, as the site does, and show which model answered.",
    ),
    "provenance": Command(
        "provenance:provenance",
        "Show what a recommendation came from: model, code, dataset, lake versions, Kafka offsets.",
    ),
    "explain": Command(
        "explain:explain",
        "Show what a user's list was made from, and which titles and words pulled each movie.",
    ),
    "demo": Command("demo:demo", "Play the whole loop on this machine and print a summary."),
    "release": Command(
        "release:app",
        "Release models and code: through a canary by themselves, or step by step by hand.",
    ),
    "models": Command(
        "models:app", "Trained models: what they are worth, and which were released."
    ),
    "console": Command(
        "console:console",
        "Show the running system as web pages, until Ctrl-C; --operate allows changes.",
    ),
    "ingest": Command(
        "ingest:app",
        "Dumps of the site's log: check one, load one; read a part of Kafka again.",
    ),
    "quarantine": Command(
        "quarantine:app",
        "Lines that are no events: what is wrong with them, and try them again.",
    ),
    "catalog": Command(
        "catalog:app",
        "Movies and users as the site describes them: load an export, or ask.",
    ),
}


def load(name: str) -> TyperCommand | TyperGroup:
    """Import a command and return it with the common options added."""
    command = _imported(name)
    context.accept_everywhere(command)
    return command


def _imported(name: str) -> TyperCommand | TyperGroup:
    module, _, attribute = COMMANDS[name].place.partition(":")
    found = getattr(importlib.import_module(f"movierec.cli.{module}"), attribute)
    if isinstance(found, typer.Typer):
        group = typer.main.get_group(found)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(name, context_settings=dict(COMMANDS[name].settings))(found)
    command = typer.main.get_command(alone)
    assert isinstance(command, TyperCommand)  # noqa: S101  of an app with one command
    return command


class Commands(TyperGroup):
    """Command group: lists all commands in the help, imports only the one that is called."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401  typer's own
        super().__init__(**settings)
        for name, command in COMMANDS.items():
            self.add_command(TyperCommand(name, help=command.summary))
        self.params += context.options()

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:  # noqa: ANN401
        """Return the command's name, the command, and its arguments."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, load(str(name)), rest
