import logging
import os
import signal
import sys
from collections.abc import Sequence

from movierec.runtime import entrypoint
from simulator import command_line, runner


def main(argv: Sequence[str]) -> int:
    """Run the simulator and return its exit code."""
    # A shell starts background jobs with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # kafka-python warns of each connection attempt that fails; our own message says it once.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    return entrypoint.run(
        "simulator", lambda: runner.run(command_line.parse(argv, os.environ), os.environ, _echo)
    )


def _echo(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
