"""`movierec console`: show the running system as web pages."""

import os
from typing import Annotated

import typer

from movierec import settings
from movierec.cli import context as contexts
from movierec.cli import progress_display
from movierec.stack import loopback_ports
from movierec.stack.services import workers


def console(
    context: typer.Context,
    *,
    operate: Annotated[
        bool, typer.Option("--operate", help="Allow changes: promote, pause, resume, roll back.")
    ] = False,
    host: Annotated[
        str,
        typer.Option(
            help=f"Address to listen on; any but loopback needs {settings.CONSOLE_TOKEN}, a secret "
            "of 22 characters or more."
        ),
    ] = loopback_ports.HOST,
    port: Annotated[
        int | None,
        typer.Option(help="Port to listen on; the run's own if not given.", min=1, max=65535),
    ] = None,
) -> None:
    """Show the running system as web pages, until Ctrl-C; --operate allows changes."""
    here = contexts.of(context)
    here.enter()
    settings.require(os.environ, settings.LAKE_BUCKET)
    # A laptop in front of AWS has no run, whose folder this would make.
    known = here.run.folder.is_dir()
    chosen = port or (
        loopback_ports.port(here.run, loopback_ports.CONSOLE)
        if known
        else loopback_ports.WELL_KNOWN[loopback_ports.CONSOLE]
    )
    spec = workers.console(here.run, host, chosen, os.environ, operate=operate)
    address = f"http://{host}:{chosen}/"
    if here.as_json:
        progress_display.print_json({"address": address, "operate": operate})
    else:
        progress_display.print_line(f"console: {address} (Ctrl-C ends it)")
    # Replaces this process: the console is all that is left to do.
    os.chdir(spec.cwd)
    os.execve(spec.command[0], list(spec.command), dict(spec.env))  # noqa: S606
