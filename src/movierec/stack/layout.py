"""Where things are: the checkout, what the set-up put into it, and each run's own folder.

A run is one stack on this machine: `var/<name>/` holds all of its state, its logs and `run.json`,
so that two runs, or two checkouts, share nothing.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from movierec.errors import ConfigError, UsageError

HOME: Final = "MOVIEREC_HOME"
"""Environment variable: the checkout to work in, whatever the current folder is."""

DEFAULT_RUN: Final = "default"
DEMO_RUN: Final = "demo"
"""The demo's own run, which it empties each time."""

PRIVATE_FOLDER: Final = 0o700
"""Mode of a run's folder."""

_NAMED: Final = re.compile(r'^\s*name\s*=\s*"movierec"\s*$', re.MULTILINE)
# A run's name becomes a folder and part of process listings; it must not climb out of var/.
_RUN_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class _Below:
    """A place at a fixed path below a checkout, or below a run's folder."""

    path: str

    def __get__(self, of: "Project | Run", _: type) -> Path:
        return (of.root if isinstance(of, Project) else of.folder) / self.path


@dataclass(frozen=True, slots=True)
class Project:
    """A checkout, and the places of what `make setup` installs in it."""

    root: Path

    python = _Below(".venv/bin/python")
    """The project's own interpreter, with every deployable importable."""
    tools = _Below(".tools")
    """Command line tools: uv, and Terraform where the machine had none."""
    terraform_config = _Below(".tools/terraform.rc")
    """Terraform's CLI configuration: value for TF_CLI_CONFIG_FILE."""
    localstack = _Below("localstack")
    """The emulator's folder; its environment is `.venv/` in it."""
    kafka = _Below("localstack/kafka")
    """The broker's folder: `libs/*.jar`, and `.venv/` with the Java runtime."""
    build = _Below("build")
    """Build products: packages, coverage, benchmark results."""

    @property
    def path(self) -> tuple[Path, ...]:
        """Folders that come first on a child's PATH."""
        return (self.python.parent, self.tools / "bin")

    def run(self, name: str = DEFAULT_RUN) -> "Run":
        """Return a run by name; nothing is created. Raises UsageError on an unusable name."""
        if not _RUN_NAME.fullmatch(name):
            raise UsageError(
                f"run name {name!r}: use up to 40 of a-z 0-9 _ -, starting with a letter or digit"
            )
        return Run(self, self.root / "var" / name)


@dataclass(frozen=True, slots=True)
class Run:
    """One stack's own folder, and the places in it."""

    project: Project
    folder: Path

    record = _Below("run.json")
    """Its ports; see `movierec.stack.run_record`."""
    environment = _Below("settings.json")
    """Its environment; see `movierec.stack.run_environment`."""
    deployed = _Below("deployed.json")
    """What was deployed; see `movierec.stack.deploy.deployed_state`."""
    daemon_socket = _Below("daemon.sock")
    """Where the run's daemon answers."""
    daemon_lock = _Below("daemon.lock")
    """Locked by the run's daemon, and by what is left of it when it was killed."""
    logs = _Below("logs")
    """One `<process>.log` a child."""
    kafka = _Below("kafka")
    """The broker's storage and generated configuration."""
    emulator = _Below("emulator")
    """The emulator's FILESYSTEM_ROOT; its state is in there, too."""
    emulator_state = _Below("emulator/state")
    """What the emulator goes on with when it is started again."""
    terraform = _Below("terraform")
    """Terraform's working data and state of this run."""
    packages = _Below("packages")
    """The functions' zips that the run was brought up with, whatever is built meanwhile."""
    chalice = _Below("chalice")
    """The staged API project, which Chalice deploys from and writes into."""
    proxy = _Below("proxy")
    """The proxy's journal."""
    site = _Below("site")
    """The simulated site's state."""
    tmp = _Below("tmp")
    """TMPDIR of the run's children."""

    @property
    def name(self) -> str:
        """The run's name, `default` unless another was asked for."""
        return self.folder.name

    def log(self, name: str) -> Path:
        """Return the log of a child."""
        return self.logs / f"{name}.log"

    def create(self) -> "Run":
        """Make the folders, if they are not there, and return the run.

        The run's own is for its owner alone: logs and settings may hold secrets. Raises
        ConfigError when they cannot be made (a read-only or full disk).
        """
        folders = (self.logs, self.kafka, self.emulator, self.terraform)
        try:
            self.folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            self.folder.chmod(PRIVATE_FOLDER)
            for folder in (*folders, self.chalice, self.proxy, self.site, self.tmp):
                folder.mkdir(exist_ok=True)
        except OSError as exc:
            raise ConfigError(
                f"cannot make {exc.filename}: {exc.strerror}; free or unlock the disk, "
                f"or set {HOME} to a checkout that can be written"
            ) from exc
        return self


def find_project(env: Mapping[str, str], cwd: Path) -> Project:
    """Return the checkout to work in.

    MOVIEREC_HOME if set, else the nearest folder at or above `cwd` whose pyproject.toml is this
    project's, else the checkout that this package was installed from. Raises ConfigError.
    """
    named = env.get(HOME)
    for folder in (Path(named),) if named else (cwd, *cwd.parents, *Path(__file__).parents):
        with suppress(OSError, UnicodeDecodeError):
            if _NAMED.search((folder / "pyproject.toml").read_text(encoding="utf-8")):
                return Project(folder.resolve())
    if named:
        raise ConfigError(f"{HOME}={named} is no movierec checkout: correct it, or unset it")
    raise ConfigError(
        f"no movierec checkout at or above {cwd}: go to one, or set {HOME} to its folder"
    )
