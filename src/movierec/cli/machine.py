"""`movierec up`, `down`, `status`, `env`: a run on this machine."""

import os
import shlex
import shutil
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from movierec import settings
from movierec.cli import context as contexts
from movierec.cli import display, releases
from movierec.errors import UnavailableError, UsageError
from movierec.stack import condition, record, surroundings
from movierec.stack.broker import DEFAULT_PARTITIONS
from movierec.stack.processes import Supervisor
from movierec.stack.startup import Options, Startup

_KAFKA_NODES = (1, 3)
_SILENT = "silent"


def up(
    context: typer.Context,
    *,
    kafka_nodes: Annotated[
        int, typer.Option(help="Kafka nodes: 1, or 3 to survive the loss of any one.")
    ] = 1,
    partitions: Annotated[
        int, typer.Option(help="Partitions of the topic, if it is new.", min=1)
    ] = DEFAULT_PARTITIONS,
    listen: Annotated[
        str, typer.Option(help="Address of the proxy; 0.0.0.0 lets other machines ask.")
    ] = "127.0.0.1",
) -> None:
    """Start everything, and come back when everything answers; it goes on running."""
    here = contexts.of(context)
    if kafka_nodes not in _KAFKA_NODES:
        raise UsageError(f"--kafka-nodes {kafka_nodes}: use 1, or 3 to survive the loss of any one")
    options = Options(
        kafka_nodes=kafka_nodes,
        partitions=partitions,
        topic=os.environ.get(settings.TOPIC, settings.DEFAULT_TOPIC),
        listen=listen,
    )
    with (
        record.exclusive(here.run.create(), "movierec up"),
        display.progress() as progress,
        Supervisor(here.run) as supervisor,
        Startup(supervisor, progress, dict(os.environ), options) as startup,
    ):
        startup.wait()
        supervisor.keep()
    _print_status(here)


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
        display.say_json({"stopped": list(stopped), "wiped": wiped, "folder": str(here.run.folder)})
    elif not there:
        display.say(f"run {here.run.name} was never up")
    else:
        display.say(f"stopped: {', '.join(stopped) or 'nothing ran'}")
        display.say(
            f"deleted {here.run.folder}"
            if wipe
            else f"kept in {here.run.folder}: Kafka's log, the proxy's journal, logs; "
            "the emulator forgets its buckets, functions and models"
        )


def _stop(here: contexts.Context, *, wipe: bool) -> tuple[str, ...]:
    with record.exclusive(here.run, "movierec down"), display.progress() as progress:
        with progress.step("stopping"):
            stopped = Supervisor(here.run).stop_all()
        surroundings.forget(here.run)
        if wipe:
            shutil.rmtree(here.run.folder)
    return stopped


def status(context: typer.Context) -> None:
    """Show what runs, where it answers, and how far the lake is behind; exit 3 unless all is up."""
    _print_status(contexts.of(context))


def env(context: typer.Context) -> None:
    """Print the run's surroundings for a shell: eval "$(movierec env)"."""
    here = contexts.of(context)
    variables = {contexts.RUN: here.run.name, **surroundings.load(here.run)}
    if here.as_json:
        display.say_json(variables)
        return
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _print_status(here: contexts.Context) -> None:
    found = condition.observe(here.run)
    if here.as_json:
        display.say_json(found)
    else:
        _print_table(found)
    if not found["ok"]:
        raise UnavailableError(f"{fault(found)}; logs are in {here.run.logs}")


def fault(found: Mapping[str, Any]) -> str:
    """Return what of a run is not up, and what to do about it."""
    words = {name: _word(part)[0] for name, part in found["parts"].items() if not part["up"]}
    # A process that hangs is kept by `up`.
    first = "`movierec down`, then " if _SILENT in words.values() else ""
    said = ", ".join(f"{name} {word}" for name, word in words.items())
    return f"run {found['run']}: {said}: {first}`movierec up`"


def _print_table(found: dict[str, Any]) -> None:
    for name, part in found["parts"].items():
        where = found["endpoints"].get(part["endpoint"], "")
        word, style = _word(part)
        display.say((f"{word:<9}", style), f" {name:<12} {where}")
    for name, value in found["facts"].items():
        for line in lines(name, value):
            display.say(f"{'':<9} {line}")


def _word(part: dict[str, Any]) -> tuple[str, str]:
    if part["up"]:
        return "up", "green"
    return (_SILENT, "yellow") if part["running"] else ("down", "red")


def lines(name: str, value: Any) -> list[str]:  # noqa: ANN401  any fact
    """Return a fact of a run's condition for people."""
    if name == "routing" and isinstance(value, dict):
        said = releases.lines(value)
    elif isinstance(value, dict):
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in value.items() if kind != "total")
        said = [f"{value['total']:,}" + (f" ({kinds})" if kinds else "")]
    else:
        said = ["none" if value is None else f"{value:,}" if isinstance(value, int) else value]
    label = name.removesuffix("_lines").replace("_", " ")
    return [f"{label if i == 0 else '':<16} {line}" for i, line in enumerate(said)]
