"""The options of every command: at every command of the table, before and after it."""

from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from movierec.cli import context as contexts
from movierec.cli import lazy_commands
from movierec.cli.main import app

ROOT = typer.main.get_command(app)


def below(path, command):
    """Yield each command and subcommand with the words that lead to it."""
    yield path, command
    if isinstance(command, TyperGroup):
        for name, each in command.commands.items():
            yield from below((*path, name), each)


ALL = [
    pytest.param(command, id=" ".join(path))
    for name in lazy_commands.COMMANDS
    for path, command in below((name,), lazy_commands.load(name))
]


@pytest.mark.parametrize("command", [pytest.param(ROOT, id="movierec"), *ALL])
def test_the_help_of_every_command_shows_them(command):
    shown = {name: param for param in command.params for name in param.opts}
    for name in ("--run", "--json"):
        assert shown[name].help
        assert not shown[name].hidden


def chosen(command, before=(), after=()):
    """Return what a command knows of its run when options stand before it and after it."""
    with ROOT.make_context("movierec", list(before), resilient_parsing=True) as above:
        # Resilient: whatever else the command wants is left out here.
        return contexts.of(
            command.make_context("x", list(after), parent=above, resilient_parsing=True)
        )


@pytest.mark.parametrize("command", ALL)
def test_every_command_takes_the_options_of_every_command_after_itself(command):
    found = chosen(command, after=["--run", "mine", "--json"])
    assert (found.run.name, found.as_json, found.named) == ("mine", True, True)


@pytest.mark.parametrize("command", ALL)
def test_every_command_takes_them_before_itself_and_after_it_goes_first(command):
    options = ["--run", "mine", "--json"]
    found = chosen(command, before=options)
    assert (found.run.name, found.as_json, found.named) == ("mine", True, True)
    found = chosen(command, before=options, after=["--run=other", "--no-json"])
    assert (found.run.name, found.as_json) == ("other", False)


def test_without_options_the_environment_says_which_run(monkeypatch):
    monkeypatch.setenv(contexts.RUN, "fromshell")
    command = lazy_commands.load("status")
    found = chosen(command)
    assert (found.run.name, found.as_json, found.named) == ("fromshell", False, False)
    assert chosen(command, after=["--run", "mine"]).named


def test_what_an_option_is_given_is_no_option():
    weights = dict(below((), lazy_commands.load("release")))["weights",]
    context = weights.make_context(
        "weights", ["--canary", "5", "--reason", "--json", "--run", "mine"]
    )
    assert context.params["reason"] == "--json"
    assert not contexts.of(context).as_json


def test_what_follows_a_double_dash_is_the_simulators():
    simulate = lazy_commands.load("simulate")
    line = ["--backfill", "7", "--run", "mine", "--rate=3", "--", "--json"]
    context: Any = simulate.make_context("simulate", line)
    assert context.params["arguments"] == ["--backfill", "7", "--rate=3", "--json"]
    found = contexts.of(context)
    assert (found.run.name, found.as_json) == ("mine", False)
