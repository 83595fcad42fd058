import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import uvicorn

from console import application, pages
from console.access import Access
from console.rendering import Files
from console.system import System
from movierec.runtime import entrypoint
from movierec.settings import CONSOLE_TOKEN

# Each may wait for the lake or for AWS; the machine's cores are not what they wait for.
_READERS: Final = 8


def main(arguments: Sequence[str]) -> int:
    """Serve the console until SIGTERM or SIGINT. Returns the exit code."""
    return entrypoint.run("console", lambda: serve(arguments))


def serve(arguments: Sequence[str]) -> None:
    """Serve as the command line says. Raises ConfigError."""
    given = parse(arguments)
    access = Access.of(given.host, os.environ)
    executor = ThreadPoolExecutor(_READERS, "reading")
    system, files = System.from_env(os.environ), Files.load()
    app = application.create(
        system, pages.found(), files, executor, access=access, operate=given.operate
    )
    # Behind no proxy that we know: what such headers say of the client is not believed.
    uvicorn.run(
        app,
        host=given.host,
        port=given.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=3,
    )
    # A reading may wait for a minute for what does not answer.
    executor.shutdown(wait=False, cancel_futures=True)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(
        prog="movierec console", description="Show the running system as web pages."
    )
    option = parser.add_argument
    option("--host", default="127.0.0.1", help=f"address to listen on; others need {CONSOLE_TOKEN}")
    option("--port", type=int, default=8084, help="port to listen on (%(default)s)")
    option("--operate", action="store_true", help="allow changes: promote, pause, roll back")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
