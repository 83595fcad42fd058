"""Terraform, run in a folder of its own, with its progress read as it goes.

`infra/terraform` is copied into `var/<run>/terraform/`, where Terraform keeps its state, its lock
and its plugins: two runs share nothing. `Apply` reads the JSON that `terraform apply -json`
streams, so that a caller can go on as soon as what it needs is there, while the provider still
waits 50 s to see that S3 keeps a lifecycle rule. What the messages look like:
https://developer.hashicorp.com/terraform/internals/machine-readable-ui
"""

import functools
import hashlib
import json
import re
import shutil
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Final

from movierec.errors import ConfigError, MovierecError, UnavailableError, UsageError
from movierec.stack.packaging import package_files
from movierec.stack.processes.child_environment import ACCOUNT, REGION
from movierec.stack.processes.spec import Spec, Stream, unsupervised

PLATFORM: Final = "module.platform"
"""Address of the module that everything is in."""

STORAGE_READY: Final = f"{PLATFORM}.module.storage.aws_s3_bucket.this"
"""Address to wait for before anything is put into a bucket."""

# Terraform saves its state and ends within seconds of an interrupt, unless a call to the provider
# hangs. Killed instead, it would forget what it had just made.
_STOP_TIMEOUT_S: Final = 60.0

_VARIABLES: Final = "movierec.auto.tfvars.json"

_CALLED_OFF: Final = re.compile(
    r"context cancel+ed|execution halted|operation was cancel+ed", re.IGNORECASE
)
_SILENT: Final = "it ended without saying why"
_INSTALL: Final = "run `make setup`, which installs Terraform and its provider"
_REMEDIES: Final[tuple[tuple[str, type[MovierecError], str], ...]] = (
    (
        r"plugin|provider (packages|registry)|Inconsistent dependency lock|CLI configuration",
        ConfigError,
        f"{_INSTALL}; ",
    ),
    (
        r"connection refused|dial tcp|no such host|i/o timeout|maximum number of att",
        UnavailableError,
        "the emulator does not answer: see `movierec status`; ",
    ),
    (
        r"acquiring the state lock",
        UnavailableError,
        "another Terraform works on this run: wait for it; ",
    ),
    ("", ConfigError, ""),
)
_LONGEST_LINE: Final = 300


def failure(command: str, errors: Collection[str], log: Path) -> MovierecError:
    """Return the exception for a command that failed: where, what, what next.

    What was only called off, because something else had failed or somebody stopped it, is named
    when there is nothing else to name.
    """
    lines = [error for error in errors if not _CALLED_OFF.search(error)] or [*errors] or [_SILENT]
    line, kind, remedy = next(
        (line, kind, remedy)
        for pattern, kind, remedy in _REMEDIES
        for line in lines
        if re.search(pattern, line)
    )
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return kind(f"terraform {command}: {line[:_LONGEST_LINE]}{more}; {remedy}log: {log}")


def expected_outputs() -> dict[str, Any]:
    """Return what the outputs of an apply in the emulator will be, before anything is there.

    Names are fixed, and the ARNs follow from names: who needs the API's role need not wait for the
    outputs of Terraform's end.
    """
    here = f"{REGION}:{ACCOUNT}"
    return {
        "bucket_names": {use: f"movierec-{use}" for use in ("lake", "artifacts", "packages")},
        "function_names": {"build_dataset": "movierec-build-dataset"},
        "release_machine_arn": f"arn:aws:states:{here}:stateMachine:movierec-release",
        "releases_topic_arn": f"arn:aws:sns:{here}:movierec-releases",
        "state_machine_arn": f"arn:aws:states:{here}:stateMachine:movierec-retrain",
        "api_role_arn": f"arn:aws:iam::{ACCOUNT}:role/movierec-api",
        "refresh_function": "movierec-refresh",
    }


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an apply is. Addresses are Terraform's: `module.a.aws_s3_bucket.this["lake"]`."""

    planned: bool = False
    """Whether the plan is made, so that every address to come is known."""
    found: frozenset[str] = frozenset()
    """What there was before."""
    pending: frozenset[str] = frozenset()
    """What is to be created or changed, and is not yet."""
    done: frozenset[str] = frozenset()
    """What has been created or changed."""
    failed: frozenset[str] = frozenset()
    errors: tuple[str, ...] = ()
    """A line each: address, summary and detail."""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """Values of the outputs, at the end."""
    over: bool = False
    """Whether Terraform has ended."""

    def is_ready(self, address: str) -> bool:
        """Say whether a resource, or all that a module or a `for_each` holds, is there.

        Raises UsageError when nothing has such an address.
        """
        if not self.planned:
            return False
        known = self.found | self.pending | self.done | self.failed
        if not any(_within(address, one) for one in known):
            raise UsageError(f"no resource has the address {address}: see infra/terraform")
        return not any(_within(address, one) for one in self.pending | self.failed)


def _within(address: str, resource: str) -> bool:
    return resource == address or resource.startswith((f"{address}.", f"{address}["))


def advance(progress: Progress, message: Mapping[str, Any]) -> Progress:
    """Return the progress after one message of `terraform apply -json`."""
    changes: dict[str, Any] = {}
    match message:
        case {"type": "refresh_complete", "hook": {"resource": {"addr": str(address)}}}:
            changes = {"found": progress.found | {address}}
        case {
            "type": "planned_change",
            "change": {
                "action": "create" | "update" | "replace",
                "resource": {"addr": str(address)},
            },
        }:
            changes = {"pending": progress.pending | {address}}
        case {"type": "change_summary", "changes": {"operation": "plan"}}:
            changes = {"planned": True}
        case {"type": "apply_errored", "hook": {"resource": {"addr": str(address)}}}:
            changes = {"failed": progress.failed | {address}}
        case {"type": "apply_complete", "hook": {"action": "delete"}}:
            pass  # the first half of a replacement, or what was no longer wanted
        case {"type": "apply_complete", "hook": {"resource": {"addr": str(address)}}}:
            done = {address}
            changes = {"pending": progress.pending - done, "done": progress.done | done}
        case {"type": "diagnostic", "diagnostic": {"severity": "error"} as said}:
            parts = (said.get("address", ""), said["summary"], said.get("detail", ""))
            error = ": ".join(" ".join(part.split()) for part in parts if part)
            changes = {"errors": (*progress.errors, error)}
        case {"type": "outputs", "outputs": outputs}:
            # Told after the plan as well, without the values.
            values = {name: each["value"] for name, each in outputs.items() if "value" in each}
            changes = {"outputs": values}
    return replace(progress, **changes)


class Apply(AbstractContextManager["Apply"]):
    """A `terraform apply` that goes on in the background.

    As a context manager it is stopped at the end of the block, unless it has ended.
    """

    def __init__(self, spec: Spec, stream: Stream, log: Path) -> None:
        self.log = log
        self.progress = Progress()
        self._news = threading.Condition()
        self._stopping = threading.Lock()
        self._ending = ExitStack()
        self._process = self._ending.enter_context(stream(spec))
        reader = ThreadPoolExecutor(1, thread_name_prefix="terraform")
        self._code = reader.submit(self._read)
        reader.shutdown(wait=False)

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_for(self, addresses: Collection[str]) -> None:
        """Return as soon as these resources, or all in these modules, are there.

        When any resource fails the rest is stopped, for Terraform says why only at its end.
        Raises ConfigError or UnavailableError when Terraform failed, and UsageError on an address
        that does not exist.
        """

        def are_ready() -> bool:
            return all(map(self.progress.is_ready, addresses))

        with self._news:
            self._news.wait_for(lambda: self.progress.over or self.progress.failed or are_ready())
            if are_ready():
                return
        self.stop()
        self.result()

    def watch(self, show: Callable[[Progress], object]) -> None:
        """Call `show` with the progress at every change of it, in this thread, until the end."""
        seen = Progress()
        while not seen.over:
            with self._news:
                self._news.wait_for(lambda: self.progress is not seen)  # noqa: B023 (called at once)
                seen = self.progress
            show(seen)

    def result(self) -> Progress:
        """Wait for the end, and return what was done.

        Raises ConfigError or UnavailableError when Terraform failed.
        """
        if self._code.result() != 0:
            raise failure("apply", self.progress.errors, self.log)
        return self.progress

    def stop(self) -> None:
        """Make it end, with its state saved; nothing happens when it has ended."""
        with self._stopping:  # two who wait for it may; a second signal would cut it short
            self._process.send_signal(signal.SIGINT)
            wait([self._code], _STOP_TIMEOUT_S)
            self._ending.close()

    def _read(self) -> int:
        try:
            with self.log.open("a", encoding="utf-8") as log:
                for message in _messages(self._process.stdout, log):
                    self._advance(advance(self.progress, message))
            return self._process.wait()
        finally:
            self._advance(replace(self.progress, over=True))

    def _advance(self, progress: Progress) -> None:
        with self._news:
            self.progress = progress
            self._news.notify_all()


def _messages(lines: IO[str], log: IO[str]) -> Iterator[Mapping[str, Any]]:
    """Yield Terraform's messages and write every line to the log."""
    for line in lines:
        log.write(line)
        log.flush()
        try:
            message = json.loads(line)
        except ValueError:  # a panic, or a warning from before it knows of -json
            continue
        if isinstance(message, dict):
            yield message


@dataclass(frozen=True, slots=True)
class Workspace:
    """One run's Terraform: `folder` is its own, `env` its whole environment, `log` appended to.

    `stream` starts it: a client's ends it with the client's other children.
    """

    folder: Path
    env: Mapping[str, str]
    log: Path
    target: str = "local"
    stream: Stream = unsupervised

    @property
    def root(self) -> Path:
        """The root module, and where the state is."""
        return self.folder / "envs" / self.target

    def stage(self, source: Path, variables: Mapping[str, object]) -> None:
        """Copy the configuration from `source` and write its variables; the state stays."""
        wanted = {path.relative_to(source) for path in source.rglob("*.tf")}
        for old in {path.relative_to(self.folder) for path in self.folder.rglob("*.tf")} - wanted:
            (self.folder / old).unlink()
        for path in wanted:
            place = self.folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / path, place)
        text = json.dumps(dict(variables), indent=2)
        (self.root / _VARIABLES).write_text(text + "\n", encoding="utf-8")

    def fingerprint(self) -> str:
        """Return a hash of all that an apply goes by: configuration, variables, provider."""
        variables = (self.root / _VARIABLES).read_text(encoding="utf-8")
        return package_files.fingerprint({"configuration": self._digest(), "variables": variables})

    @property
    def is_initialised(self) -> bool:
        """Whether the provider and the modules of this configuration are linked."""
        marker = self._marker
        plugins = marker.with_name("providers")
        linked = plugins.is_dir() and all(path.exists() for path in plugins.rglob("*"))
        return linked and marker.is_file() and marker.read_text("utf-8") == self._digest()

    def init(self) -> None:
        """Link the provider and the modules. Raises ConfigError."""
        with self.stream(self._spec("init", "-input=false", "-json")) as process:
            with self.log.open("a", encoding="utf-8") as log:
                progress = functools.reduce(advance, _messages(process.stdout, log), Progress())
            if process.wait() != 0:
                raise failure("init", progress.errors, self.log)
        self._marker.write_text(self._digest(), encoding="utf-8")

    def apply(self) -> Apply:
        """Start an apply. Raises ConfigError when Terraform is not installed."""
        # A first apply may still be watching its lifecycle rules when a second one starts.
        command = ("apply", "-json", "-auto-approve", "-input=false", "-lock-timeout=120s")
        # 50 resources, most of them waiting for the network: more at once than its default 10.
        return Apply(self._spec(*command, "-parallelism=30"), self.stream, self.log)

    @property
    def _marker(self) -> Path:
        return self.root / ".terraform" / "movierec-initialised"

    def _digest(self) -> str:
        digest = hashlib.sha256(str(self.folder).encode())
        config = Path(self.env.get("TF_CLI_CONFIG_FILE", "/dev/null"))
        for path in (config, *sorted(self.folder.rglob("*.tf"))):
            digest.update(path.read_bytes() if path.is_file() or path == config else b"")
        return digest.hexdigest()

    def _spec(self, *command: str) -> Spec:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        terraform = shutil.which("terraform", path=self.env.get("PATH", ""))
        if terraform is None:
            raise ConfigError(f"terraform is not on PATH: {_INSTALL}")
        return Spec(
            name="terraform",
            command=(terraform, f"-chdir={self.root}", *command),
            env={**self.env, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"},
            cwd=self.log.parent,
            grace_s=_STOP_TIMEOUT_S,
        )


def forget(folder: Path) -> None:
    """Drop the state that Terraform keeps under a workspace's folder, and nothing else.

    For an emulator that starts empty: what the state remembers is gone.
    """
    for state in folder.glob("envs/*/terraform.tfstate*"):
        state.unlink()


def configured(env: Mapping[str, str], config: Path) -> dict[str, str]:
    """Return `env` with Terraform's CLI configuration in it, if `make setup` wrote one."""
    named = {"TF_CLI_CONFIG_FILE": str(config)} if config.is_file() else {}
    return {**{k: v for k, v in env.items() if not k.startswith("TF_")}, **named}
