"""`movierec up`: start or resume a run on this machine."""

import os
from typing import Annotated

import typer

from movierec import settings
from movierec.cli import context as contexts
from movierec.cli import lifecycle, progress_display
from movierec.errors import UsageError
from movierec.stack import run_record
from movierec.stack.options import Options
from movierec.stack.processes.client import Client
from movierec.stack.services.kafka_broker import DEFAULT_PARTITIONS
from movierec.stack.startup import Startup

_KAFKA_NODES = (1, 3)


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
        run_record.exclusive(here.run.create(), "movierec up"),
        progress_display.progress() as progress,
        Client(here.run) as client,
        Startup(client, progress, dict(os.environ), options) as startup,
    ):
        startup.wait()
        client.keep()
    lifecycle.print_status(here)
