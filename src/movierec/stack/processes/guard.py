"""A process that stops a supervisor's children when the supervisor is killed outright.

`kill -9` and the kernel's out-of-memory killer leave no chance to clean up. The guard holds the
reading end of a pipe whose writing end only the supervisor has: when the supervisor is gone, for
whatever reason, the guard reads the end of the stream, and stops what that supervisor started and
nothing else: what an earlier command left running on purpose goes on.
"""

import os
import subprocess
import sys
from pathlib import Path

from movierec.stack.layout import Project, Run
from movierec.stack.processes import child_environment, stopping

_DISMISSED = b"."
_DISMISSED_WITHIN_S = 10.0


def watch(run: Run, owner: str) -> subprocess.Popen[bytes]:
    """Start a guard over the supervisor's children for as long as this process lives."""
    return subprocess.Popen(
        [sys.executable, "-m", __name__, str(run.project.root), str(run.folder), owner],
        env=child_environment.basic(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=run.project.root,
        start_new_session=True,
    )


def dismiss(guard: subprocess.Popen[bytes]) -> None:
    """End a guard that has nothing to do any more."""
    guard.communicate(_DISMISSED, timeout=_DISMISSED_WITHIN_S)


def main(root: Path, folder: Path, owner: str) -> None:
    """Wait for the supervisor's word or its end, and in the latter case stop its children."""
    if sys.stdin.buffer.read(1) != _DISMISSED:
        stopping.stop_in_order(Run(Project(root), folder), owner)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
