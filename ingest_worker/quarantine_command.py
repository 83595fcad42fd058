"""Replay lines of quarantine once; print what became of them as one JSON object."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from ingest_worker import line_settings
from movierec.aws.delta_quarantine_lake import DeltaQuarantineLake
from movierec.lake.quarantined import Selection
from movierec.runtime import entrypoint


def main(argv: Sequence[str]) -> int:
    """Replay, and return the exit code."""
    args = _arguments().parse_args(argv)
    return entrypoint.run("movierec", lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    chosen = Selection.of(args.reason or (), args.since, args.until)
    lake = DeltaQuarantineLake.from_env(os.environ)
    found = line_settings.replay(lake, os.environ).run(chosen, dry_run=args.dry_run)
    result = {
        "admitted": found.admitted,
        "left": dict(found.left.most_common()),
        "unknown_movies": len(found.unknown_movies),
        "dry_run": args.dry_run,
    }
    sys.stdout.write(json.dumps(result) + "\n")


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("quarantine_command", description=__doc__)
    parser.add_argument("--reason", action="append", help="Once for each; all if none.")
    parser.add_argument("--since", type=_time, help="The first time of coming to quarantine.")
    parser.add_argument("--until", type=_time, help="The first time after; UTC without an offset.")
    parser.add_argument("--dry-run", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
