"""A run's environment variables: those that any part of it, or a command, works with.

Kept in `var/<run>/settings.json`, and printed by `movierec env` for a shell. A machine that has no
run (a laptop in front of AWS) sets the same variables by hand.
"""

import json
import os
from collections.abc import Mapping, MutableMapping

from movierec.errors import UnavailableError
from movierec.stack import run_record
from movierec.stack.layout import Run


def save(run: Run, variables: Mapping[str, str]) -> None:
    """Keep a run's environment for the commands to come."""
    run_record.write_atomically(run.environment, json.dumps(dict(variables), indent=2) + "\n")


def load(run: Run) -> dict[str, str]:
    """Return a run's environment. Raises UnavailableError when it was never up."""
    found: dict[str, str] | None = run_record.read(
        run.environment, json.loads, "delete it, then `movierec up`"
    )
    if found is None:
        raise UnavailableError(f"run {run.name} is not up: start it with `movierec up`")
    return found


def adopt(variables: Mapping[str, str], environ: MutableMapping[str, str] = os.environ) -> None:
    """Have this process work in this environment, with the AWS clients that it makes from now on.

    What the user exported for other tools (a profile, a certificate bundle, proxies) would send
    requests elsewhere: it goes.
    """
    foreign = ("AWS_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    for name in [each for each in environ if each.startswith(foreign) and each not in variables]:
        environ.pop(name, None)
    environ.update(variables)
