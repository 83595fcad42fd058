"""A run's environment variables: those that any part of it, or a command, works with.

Kept in `var/<run>/settings.json`, and printed by `movierec env` for a shell. A machine that has no
run (a laptop in front of AWS) sets the same variables by hand.
"""

import json
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from movierec.errors import UnavailableError
from movierec.stack import run_record
from movierec.stack.layout import Run

_MISLEADING = frozenset({"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"})


def save(run: Run, variables: Mapping[str, str]) -> None:
    """Keep a run's environment for the commands to come."""
    run_record.write_atomically(_path(run), json.dumps(dict(variables), indent=2) + "\n")


def load(run: Run) -> dict[str, str]:
    """Return a run's environment. Raises UnavailableError when it was never up."""
    found: dict[str, str] | None = run_record.read(
        _path(run), json.loads, "delete it, then `movierec up`"
    )
    if found is None:
        raise UnavailableError(f"run {run.name} is not up: start it with `movierec up`")
    return found


def forget(run: Run) -> None:
    """Drop a run's environment: what it points at is gone."""
    _path(run).unlink(missing_ok=True)


def adopt(variables: Mapping[str, str], environ: MutableMapping[str, str] = os.environ) -> None:
    """Have this process work in this environment, with the AWS clients that it makes from now on.

    What the user exported for other tools (a profile, a certificate bundle, proxies) would send
    requests elsewhere: it goes.
    """
    foreign = {name for name in environ if name.startswith("AWS_")} | _MISLEADING
    for name in foreign - variables.keys():
        environ.pop(name, None)
    environ.update(variables)


def _path(run: Run) -> Path:
    return run.folder / "settings.json"
