import argparse
import asyncio
import os
import re
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from movierec import settings as names
from movierec.aws.delta_lake import DeltaLake
from movierec.errors import UsageError
from movierec.runtime import entrypoint
from movierec.runtime.clock import SystemClock
from movierec.settings import require
from proxy.bulkhead import MAX_CALLS
from proxy.handler import Dependencies
from proxy.startup_shutdown import new_id, serve
from proxy.wiring import Settings

# An idle connection holds a descriptor until its header times out: 13,000 a second fit.
_OPEN_FILES: Final = 65_536

_PROXY_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


def main(arguments: Sequence[str]) -> int:
    """Run the proxy until SIGTERM or SIGINT. Returns the exit code."""
    return entrypoint.run("proxy", lambda: asyncio.run(_run(parse(arguments))))


def parse(arguments: Sequence[str]) -> Settings:
    """Return the settings from the command line and the environment.

    Raises UsageError or ConfigError.
    """
    given = _parser().parse_args(arguments)
    if not _PROXY_ID.fullmatch(given.proxy_id):
        raise UsageError("--proxy-id: expected 1 to 64 letters, digits, dots, dashes")
    if min(given.deadline_ms, given.flush_s, given.journal_limit_mb, given.api_calls) <= 0:
        raise UsageError(
            "--deadline-ms, --flush-s, --journal-limit-mb and --api-calls: expected more than 0"
        )
    require(os.environ, names.LAKE_BUCKET)  # opened later, when there is something to ship
    return Settings(
        api_url=given.api_url or require(os.environ, names.API_URL),
        folder=given.folder,
        host=given.host,
        port=given.port,
        proxy_id=given.proxy_id,
        deadline_s=given.deadline_ms / 1000,
        api_calls=given.api_calls,
        flush_s=given.flush_s,
        journal_limit_bytes=given.journal_limit_mb * 2**20,
        code_version=os.environ.get(names.CODE_VERSION, "unknown"),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m proxy",
        description="Answer the site in time, and keep a record of what was recommended.",
    )
    option = parser.add_argument
    option("--host", default="127.0.0.1", help="address to listen on; on EC2 0.0.0.0 (%(default)s)")
    option("--port", type=int, default=8082, help="port to listen on; 0 takes any (%(default)s)")
    option("--api-url", help=f"URL of the API's stage; default from {names.API_URL}")
    option("--deadline-ms", type=float, default=400, help="time the API has (%(default)s)")
    option(
        "--api-calls",
        type=int,
        default=MAX_CALLS,
        help="calls to the API at once; more are queued (%(default)s)",
    )
    option("--folder", type=Path, default=Path("var/proxy"), help="journal and state (%(default)s)")
    option("--flush-s", type=float, default=5, help="pause between two shipments (%(default)s)")
    option(
        "--journal-limit-mb",
        type=int,
        default=1024,
        help="disk for records that wait for the lake; past it new ones are dropped (%(default)s)",
    )
    option("--proxy-id", default="1", help="this proxy's unique name (%(default)s)")
    return parser


async def _run(settings: Settings) -> None:
    _raise_limits()
    stop = entrypoint.async_stop_event()
    deps = Dependencies(clock=SystemClock(), monotonic_s=time.monotonic, new_id=new_id)
    await serve(
        settings,
        open_lake=lambda: DeltaLake.from_env(os.environ),
        deps=deps,
        stop=stop,
    )


def _raise_limits() -> None:
    """Raise the soft limit of open files, often 1,024, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
