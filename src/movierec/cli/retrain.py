"""`movierec retrain`."""

import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Annotated, Any

import typer

from movierec import settings
from movierec.aws import step_functions
from movierec.cli import context as contexts
from movierec.cli import progress_display
from movierec.errors import TrainingError, UsageError
from movierec.stack.progress import Progress

# Two Lambdas of at most 15 minutes each, and their retries.
_WITHIN_S = 3600.0


def retrain(
    context: typer.Context,
    *,
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", help="Dataset parameter, as NAME=VALUE.")
    ] = None,
    training: Annotated[
        list[str] | None, typer.Option("--train", help="Training parameter, as NAME=VALUE.")
    ] = None,
) -> None:
    """Build a dataset from the lake and train a model on it; follow the state machine."""
    here = contexts.of(context)
    event = {"dataset": {"parameters": pairs(dataset)}, "model": {"parameters": pairs(training)}}
    here.enter()
    with progress_display.progress() as progress:
        trained = run(progress, event)
    if here.as_json:
        progress_display.say_json(dict(trained))
        return
    progress_display.say(f"model {trained['model_version']}")
    for name, value in trained.get("metrics", {}).items():
        progress_display.say(
            f"  {name} {value:.4f}" if isinstance(value, float) else f"  {name} {value}"
        )


def run(progress: Progress, event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Run the state machine once, and return its output."""
    machine = settings.require(os.environ, settings.STATE_MACHINE)
    with progress.step("retrain"):
        execution = step_functions.start(machine, event)
        return show(progress, step_functions.follow(execution, within_s=_WITHIN_S))


def show(
    progress: Progress, followed: Iterable[step_functions.Progressed | Mapping[str, Any]]
) -> Mapping[str, Any]:
    """Show each state of an execution as a step, and return its output."""
    with ExitStack() as unfinished:
        states: dict[str, ExitStack] = {}
        for news in followed:
            if isinstance(news, Mapping):
                return news
            if news.entered:
                states[news.state] = unfinished.enter_context(ExitStack())
                states[news.state].enter_context(progress.step(news.state))
            elif news.state in states:
                error = TrainingError(news.state) if news.failed else None
                states.pop(news.state).__exit__(type(error) if error else None, error, None)
    raise AssertionError("an execution ends with its output, or raises")


def pairs(given: list[str] | None) -> dict[str, float | int | str]:
    """Return `NAME=VALUE` arguments as a mapping, numbers as numbers. Raises UsageError."""
    found: dict[str, float | int | str] = {}
    for pair in given or ():
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise UsageError(f"{pair!r}: write a parameter as NAME=VALUE")
        found[name] = _number(value)
    return found


def _number(text: str) -> float | int | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
