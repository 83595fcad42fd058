"""`movierec retrain`: wait for ingest, build a data set, train a model."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Annotated, Any, Final

import typer

from movierec import settings
from movierec.aws import step_functions
from movierec.aws.delta_lake import DeltaLake
from movierec.cli import context as contexts
from movierec.cli import progress_display
from movierec.errors import ConfigError, TrainingError, UnavailableError, UsageError
from movierec.kafka import offsets
from movierec.stack import loopback_ports
from movierec.stack.layout import Run
from movierec.stack.progress import Progress

# Two Lambdas of at most 15 minutes each, and their retries.
_WITHIN_S: Final = 3600.0

# The worker flushes every 5 s; one that died is restarted, and takes over its partitions, well
# within this.
_STALLED_AFTER_S: Final = 60.0
_POLL_S: Final = 0.5


def retrain(
    context: typer.Context,
    *,
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", help="Dataset parameter, as NAME=VALUE.")
    ] = None,
    training: Annotated[
        list[str] | None, typer.Option("--train", help="Training parameter, as NAME=VALUE.")
    ] = None,
    cost_weight: Annotated[
        float | None,
        typer.Option(
            "--cost-weight",
            min=0,
            help="How much a play's license cost counts against a movie; 0, the default: nothing.",
        ),
    ] = None,
    tuned: Annotated[
        bool,
        typer.Option(
            "--tuned", help="With the newest result of `movierec tune`; --train comes before it."
        ),
    ] = False,
    accept_drift: Annotated[
        bool,
        typer.Option(
            "--accept-drift", help="Go on although the data has drifted since the last release."
        ),
    ] = False,
    wait: Annotated[
        bool,
        typer.Option(help="First wait until every line now in Kafka is in the lake."),
    ] = True,
) -> None:
    """Build a dataset from the lake and train a model on it; follow the state machine."""
    here = contexts.of(context)
    event = event_of(
        dataset, training, tuned=tuned, accept_drift=accept_drift, cost_weight=cost_weight
    )
    here.enter()
    with progress_display.progress() as progress:
        if wait:
            _await_ingest(progress, here.run)
        trained = run(progress, event)
    if here.as_json:
        progress_display.print_json(dict(trained))
        return
    progress_display.print_line(f"model {trained['model_version']}")
    for name, value in trained.get("metrics", {}).items():
        progress_display.print_line(
            f"  {name} {value:.4f}" if isinstance(value, float) else f"  {name} {value}"
        )


def event_of(
    dataset: list[str] | None,
    training: list[str] | None,
    *,
    tuned: bool,
    accept_drift: bool,
    cost_weight: float | None = None,
) -> dict[str, Any]:
    """Return the state machine's input. Raises UsageError."""
    drift = {"accept_drift": True} if accept_drift else {}
    cost = {} if cost_weight is None else {"cost_weight": cost_weight}
    return {
        "dataset": {"parameters": pairs(dataset), **drift},
        "model": {"parameters": pairs(training), "tuned": tuned, **cost},
    }


def _await_ingest(progress: Progress, run: Run) -> None:
    """Wait until every line now in Kafka is in the lake. Raises ConfigError, UnavailableError."""
    log = run.log(loopback_ports.INGEST)
    try:
        options, topics = settings.kafka_options(os.environ), settings.topics(os.environ)
        written = {topic: offsets.of_topic(options, topic) for topic in topics}
        missing = partial(offsets.missing_lines, DeltaLake.from_env(os.environ), written)
        if lines := missing():
            progress_display.print_note(
                f"waiting for the ingest worker: {lines:,} lines of {', '.join(topics)} are not in "
                "the lake "
                "yet (--no-wait trains without them)"
            )
            await_none_missing(progress, missing)
    except (ConfigError, UnavailableError) as exc:
        where = f"; its log is {log}" if log.exists() else ""
        raise type(exc)(
            f"{exc}{where}; to train on what the lake has: `movierec retrain --no-wait`"
        ) from exc


def await_none_missing(
    progress: Progress,
    missing: Callable[[], int],
    *,
    clock_s: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until no line is missing. Raises UnavailableError when none arrives for a while."""
    total = least = missing()
    moved_s = clock_s()
    with progress.step("ingest") as step:
        while lines := missing():
            if lines < least:
                least, moved_s = lines, clock_s()
            elif clock_s() - moved_s > _STALLED_AFTER_S:
                raise UnavailableError(
                    f"{lines:,} lines are not in the lake, and none has arrived there for "
                    f"{_STALLED_AFTER_S:.0f} s: the ingest worker does not run, or cannot write; "
                    "see `movierec status`"
                )
            step.update(total - lines, total, f"{lines:,} lines to go")
            sleep(_POLL_S)


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
