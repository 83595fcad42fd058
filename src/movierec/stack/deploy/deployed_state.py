"""What a run's emulator holds of this product, and what it was made from.

Kept in `var/<run>/deployed.json`: as long as code, configuration and packages are the same, and the
emulator has come back with all that it had, `movierec up` has nothing to deploy.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace

from movierec.stack import run_record
from movierec.stack.layout import Run
from movierec.stack.services.emulator import Kept


@dataclass(frozen=True, slots=True)
class Deployment:
    """What was deployed."""

    generation: int = 0
    """The first generation of the emulator's state that holds all of it."""
    made_from: Mapping[str, str] = field(default_factory=dict)
    """A fingerprint of what each part was made from."""
    told: Mapping[str, str] = field(default_factory=dict)  # stored under this name
    """Its outputs, by the names of settings: function, REST API, URL."""


def load(run: Run) -> Deployment:
    """Return what the run's last `up` deployed. Raises ConfigError if that cannot be read."""
    remedy = "delete it, and `movierec up` deploys again"
    found = run_record.read(run.deployed, lambda text: Deployment(**json.loads(text)), remedy)
    return found or Deployment()


def save(run: Run, deployed: Deployment) -> None:
    """Write down what was deployed. Raises ConfigError when the disk refuses."""
    run_record.write_atomically(run.deployed, json.dumps(asdict(deployed), indent=2) + "\n")


class Changes:
    """What one command deploys anew. Several threads may use it.

    A part counts as deployed only when the command has come to its end, and the emulator has all
    of it on the disk: a half-made one is made again.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._known = load(run)
        self._made_from: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def outputs(self) -> Mapping[str, str]:
        """What only a deployment can say, as far as it has."""
        return self._known.told

    def has(self, part: str, made_from: str, kept: Kept) -> bool:
        """Say whether a part is there, made from this; if not, it is to be made now."""
        with self._lock:
            known = self._known
            is_held = 0 < known.generation <= kept.generation and not kept.lost
            if is_held and known.made_from.get(part) == made_from:
                return True
            others = {name: digest for name, digest in known.made_from.items() if name != part}
            self._known = replace(known, made_from=others)
            self._made_from[part] = made_from
            save(self._run, self._known)
            return False

    def add_outputs(self, outputs: Mapping[str, str]) -> None:
        """Add those of a part that was made now."""
        with self._lock:
            self._known = replace(self._known, told={**self._known.told, **outputs})

    def finish(self, save_emulator: Callable[[], Kept]) -> None:
        """Write down that all is made, if anything was, when the emulator has saved it."""
        if self._made_from:
            generation = save_emulator().generation
            made_from = {**self._known.made_from, **self._made_from}
            save(self._run, Deployment(generation, made_from, self._known.told))
