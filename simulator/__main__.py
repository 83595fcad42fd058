import logging
import os
import signal
import sys
from collections.abc import Sequence

from movierec.errors import MovierecError
from movierec.logs import to_stderr
from simulator import app, cli


def main(argv: Sequence[str]) -> int:
    """Run the simulator and return its exit code."""
    to_stderr()
    # Before the users live and the site answers, to be stopped is to leave by the ledger's door.
    signal.signal(signal.SIGTERM, _leave)
    # kafka-python warns of each connection attempt that fails; our own message says it once.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        return app.run(cli.parse(argv, os.environ), os.environ, _say)
    except MovierecError as exc:
        sys.stderr.write(f"simulator: {exc}\n")
        return exc.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _leave(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
