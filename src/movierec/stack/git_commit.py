"""Which code this is."""

import os
import subprocess
from pathlib import Path

from movierec.stack.processes import child_environment

UNKNOWN = "unknown"


def version(checkout: Path) -> str:
    """Return the short hash of the checked-out commit, with `-dirty` if files differ from it.

    `unknown` where there is no git, no repository, or no commit yet.
    """
    commit = _git(checkout, "rev-parse", "--short=12", "HEAD")
    if not commit:
        return UNKNOWN
    return f"{commit}-dirty" if _git(checkout, "status", "--porcelain") else commit


def _git(checkout: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ("git", "-C", str(checkout), *arguments),
            # GIT_DIR and the like, which git exports to its hooks, would show another repository.
            env=child_environment.basic(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
