"""Bringing a run up: each part as soon as what it needs is there.

    packages ─┬─▶ terraform ─▶ buckets ─┬─▶ ingest
    emulator ─┘                └─ role ─┼─▶ API ─▶ proxy
    kafka ──────────────────────────────┘

Terraform's provider watches each new lifecycle rule for 50 s. Nothing needs those rules, so
everything else goes on meanwhile, and `wait` comes back when Terraform has ended too.
"""

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from movierec import settings
from movierec.aws.gateway import Gateway
from movierec.aws.served_function import LambdaFunction
from movierec.errors import UnavailableError
from movierec.kafka import topics
from movierec.release_policy import Policy
from movierec.routing import ALIAS
from movierec.stack import (
    addresses,
    api,
    broker,
    code,
    emulator,
    environment,
    packages,
    services,
    sockets,
    surroundings,
    terraform,
)
from movierec.stack.layout import Run
from movierec.stack.processes import Supervisor
from movierec.stack.progress import Progress
from movierec.upkeep import Policy as UpkeepPolicy

_API_ROLE: Final = f"{terraform.PLATFORM}.module.api"


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is made of."""

    kafka_nodes: int = 1
    partitions: int = broker.DEFAULT_PARTITIONS
    topic: str = settings.DEFAULT_TOPIC
    listen: str = sockets.HOST
    before_ingest: Callable[[], object] = bool
    """Called when the lake is there, before the first line is read: loads a catalog, say."""


class Startup:
    """A run coming up; as a context manager it abandons what is unfinished at the block's end.

    It raises UnavailableError at once for a port that somebody else has.

    Each part is a Future that others wait for: `kafka` (bootstrap servers), `emulator` (its
    URL), `lake` (the buckets are there), `retrain` (the state machine's ARN; every function is
    there too), `api` (its URL), `ingest`, `proxy`, `terraform`.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        progress: Progress,
        inherited: Mapping[str, str],
        options: Options | None = None,
    ) -> None:
        self.supervisor = supervisor
        self.run = supervisor.run.create()
        self.options = options or Options()
        self._claim_ports()
        # The emulator forgets at a stop: what was deployed is there as long as this one runs.
        self._emulator_is_new = supervisor.find(emulator.NAME) is None
        self.variables = _variables(self.run, inherited, self.options)
        if not self._emulator_is_new:
            self.variables |= _deployed(self.run)
        self._progress = progress
        self._inherited = inherited
        self._cleanup = ExitStack()
        self._learning = threading.Lock()
        self._applying = threading.Lock()
        self._abandoned = False
        # Most of the threads wait for another one; none of them computes.
        self._pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="startup")
        surroundings.adopt(self.variables)
        self.kafka = self._begin(self._start_kafka)
        self.emulator = self._begin(self._start_emulator)
        self._functions = self._begin(self._build_functions)
        self._vendor = self._begin(self._build_vendor)
        self._workspace = self._begin(self._prepare_terraform)
        self._apply = self._begin(self._begin_apply)
        self.lake = self._begin(self._await_lake)
        self.retrain = self._begin(self._await_retrain)
        self.api = self._begin(self._deploy_api)
        self.ingest = self._begin(self._start_ingest)
        self.proxy = self._begin(self._start_proxy)
        self.terraform = self._begin(self._await_terraform)

    def __enter__(self) -> Self:
        """Go on; the work has begun already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop Terraform, with its state saved, and start nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._applying:
            self._abandoned = True
        self._cleanup.close()

    def wait(self) -> Mapping[str, str]:
        """Return the run's surroundings when everything answers. Raises the first part's error."""
        parts: list[Future[Any]] = [self.kafka, self.emulator, self.lake, self.api, self.ingest]
        parts += [self.proxy, self.terraform]
        done, _ = wait(parts, return_when=FIRST_EXCEPTION)
        for part in (part for part in parts if part in done):
            part.result()
        return self.variables

    def _claim_ports(self) -> None:
        """Raise UnavailableError for a port that is taken, before anything is started."""
        for name, port in ((emulator.NAME, addresses.EMULATOR), (services.PROXY, addresses.PROXY)):
            if self.supervisor.find(name) is None:
                # Killed outright, the emulator leaves its server behind, which holds the port.
                self.supervisor.stop(name)
                addresses.require_free(self.run, port)

    def _begin[T](self, work: Callable[[], T]) -> "Future[T]":
        return self._pool.submit(work)

    def _start_kafka(self) -> str:
        with self._progress.step("kafka"):
            servers = external_kafka(self.run, self._inherited) or broker.start(
                self.supervisor, self._inherited, nodes=self.options.kafka_nodes
            )
            reach = {**self._inherited, settings.KAFKA_BOOTSTRAP: servers}
            options = settings.kafka_options(reach)
            topics.ensure(options, self.options.topic, self.options.partitions)
        self._learn({settings.KAFKA_BOOTSTRAP: servers})
        return servers

    def _start_emulator(self) -> str:
        with self._progress.step("localstack"):
            if self._emulator_is_new:
                # A state that remembers would plan no changes.
                terraform.forget(self.run.terraform)
            self.supervisor.start(emulator.spec(self.run, self._inherited))
        return self.variables["AWS_ENDPOINT_URL"]

    def _build_functions(self) -> Mapping[str, str]:
        with self._progress.step("function packages"):
            built = packages.build_functions(
                self.run.project,
                self._tool_environment(),
                stream=self.supervisor.stream,
                into=self.run.packages,
            )
        return {package.name: str(package.path) for package in built}

    def _build_vendor(self) -> None:
        with self._progress.step("API package"):
            packages.build_vendor(
                self.run.project, self._tool_environment(), stream=self.supervisor.stream
            )

    def _prepare_terraform(self) -> terraform.Workspace:
        project = self.run.project
        env = self._child_environment() | environment.internet(self._inherited)
        workspace = terraform.Workspace(
            folder=self.run.terraform,
            env=terraform.configured(env, project.terraform_config),
            log=self.run.logs / "terraform.log",
            stream=self.supervisor.stream,
        )
        upkeep = UpkeepPolicy.from_env(self._inherited)
        variables = {
            "package_paths": self._functions.result(),
            "code_version": self.variables[settings.CODE_VERSION],
            "watch_retention_days": upkeep.watch_retention_days,
            "vacuum_retention_hours": upkeep.vacuum_retention_hours,
            **_of_releases(self._inherited),
        }
        with self._progress.step("terraform init"):
            workspace.stage(project.root / "infra" / "terraform", variables)
            workspace.init()
        return workspace

    def _begin_apply(self) -> terraform.Apply:
        workspace = self._workspace.result()
        self.emulator.result()
        with self._applying:
            if self._abandoned:
                raise UnavailableError("terraform is not started: the run is being stopped")
            return self._cleanup.enter_context(workspace.apply())

    def _await_lake(self) -> None:
        apply = self._apply.result()
        with self._progress.step("buckets"):
            apply.wait_for({terraform.STORAGE_READY})

    def _await_retrain(self) -> str:
        # Names alone join the state machine to its functions: it may be there before they are. And
        # the others are waited for as well, for the emulator unzips hundreds of megabytes of them,
        # at the cost of whoever asks for recommendations meanwhile.
        modules = {f"{terraform.PLATFORM}.module.{module}" for module in ("function", "retrain")}
        self._apply.result().wait_for(modules)
        return self.variables[settings.STATE_MACHINE]

    def _await_terraform(self) -> terraform.Summary:
        apply = self._apply.result()
        with self._progress.step("terraform apply") as step:
            apply.watch(
                lambda seen: step.update(len(seen.done), len(seen.done) + len(seen.pending))
            )
            return apply.result()

    def _deploy_api(self) -> str:
        apply = self._apply.result()
        apply.wait_for({_API_ROLE, terraform.STORAGE_READY})
        self._vendor.result()
        with self._progress.step("chalice deploy"):
            deployed = api.deploy(
                self.supervisor,
                self._child_environment(),
                role_arn=_expected()["api_role_arn"],
                variables={
                    name: self.variables[name]
                    for name in (settings.ARTIFACTS_BUCKET, settings.CODE_VERSION)
                },
                find_rest_api=Gateway().find,
            )
            # Routes may have changed under a release that is out.
            if LambdaFunction(deployed.function).alias() is not None:
                Gateway().ensure_live_stage(deployed.rest_api_id)
        url = api.local_url(self.variables["AWS_ENDPOINT_URL"], deployed.rest_api_id, ALIAS)
        self._learn(
            {
                settings.API_FUNCTION: deployed.function,
                settings.REST_API: deployed.rest_api_id,
                settings.API_URL: url,
            }
        )
        return url

    def _start_ingest(self) -> None:
        self.kafka.result()
        self.lake.result()
        self.options.before_ingest()
        with self._progress.step("ingest worker"):
            self._stop_if_stale(services.INGEST)
            self.supervisor.start(services.ingest(self.run, self.variables, self._inherited))

    def _start_proxy(self) -> str:
        self.api.result()
        with self._progress.step("proxy"):
            self._stop_if_stale(services.PROXY)
            self.supervisor.start(services.proxy(self.run, self.variables, self._inherited))
        return self.variables[settings.PROXY_URL]

    def _stop_if_stale(self, name: str) -> None:
        """Stop a part that runs since before this emulator: it asks for tables and an API gone."""
        if self._emulator_is_new:
            self.supervisor.stop(name)

    def _learn(self, variables: Mapping[str, str]) -> None:
        with self._learning:
            self.variables |= variables
            surroundings.save(self.run, self.variables)
            surroundings.adopt(self.variables)

    def _child_environment(self) -> dict[str, str]:
        basic = environment.basic(self._inherited, path=self.run.project.path)
        return basic | environment.emulated_aws(self.variables["AWS_ENDPOINT_URL"])

    def _tool_environment(self) -> dict[str, str]:
        basic = environment.basic(self._inherited, path=self.run.project.path)
        return basic | environment.internet(self._inherited)


def _expected() -> Mapping[str, Any]:
    return terraform.expected_outputs(environment.ACCOUNT, environment.REGION)


def _of_releases(inherited: Mapping[str, str]) -> dict[str, Any]:
    """Return Terraform's variables of releases that the user's environment sets.

    Raises ConfigError for a policy that no release could follow.
    """
    given = inherited.get(settings.RELEASE_POLICY) or "{}"
    Policy.from_json(given)
    return {
        "release_policy": json.loads(given),
        "slack_webhook": inherited.get(settings.SLACK_WEBHOOK, ""),
    }


def external_kafka(run: Run, inherited: Mapping[str, str]) -> str | None:
    """Return the cluster that the environment names, None if there is none but the run's own.

    In a shell that has the run's surroundings from `movierec env`, it names that.
    """
    named = inherited.get(settings.KAFKA_BOOTSTRAP, "")
    if inherited.get(settings.LAKE_BUCKET) and not addresses.are_foreign(run, named):
        return None
    return named or None


# What only a deployment tells.
_TOLD: Final = (settings.API_FUNCTION, settings.REST_API, settings.API_URL)


def _deployed(run: Run) -> dict[str, str]:
    """Return what an earlier `up` was told: commands that run meanwhile go on by it."""
    try:
        saved = surroundings.load(run)
    except UnavailableError:
        return {}
    return {name: saved[name] for name in _TOLD if name in saved}


# What the user sets for the parts: where Kafka is, and what the site's lines may say.
_PASSED_ON: Final = (
    "MOVIEREC_KAFKA_",
    settings.MAX_USER_ID,
    settings.MIN_RATING,
    settings.MAX_RATING,
)


def _variables(run: Run, inherited: Mapping[str, str], options: Options) -> dict[str, str]:
    ports = addresses.ports(run)
    expected = _expected()
    given = {name: value for name, value in inherited.items() if name.startswith(_PASSED_ON)}
    local = {
        name: f"http://{sockets.HOST}:{ports[port]}"
        for name, port in ((settings.PROXY_URL, "proxy"), (settings.SITE_URL, "site"))
    }
    return {
        **environment.emulated_aws(emulator.endpoint_url(ports[addresses.EMULATOR])),
        settings.KAFKA_BOOTSTRAP: f"{sockets.HOST}:{ports[addresses.KAFKA]}",
        **given,
        **local,
        settings.TOPIC: options.topic,
        settings.LISTEN: options.listen,
        settings.LAKE_BUCKET: expected["bucket_names"]["lake"],
        settings.ARTIFACTS_BUCKET: expected["bucket_names"]["artifacts"],
        settings.STATE_MACHINE: expected["state_machine_arn"],
        settings.RELEASE_MACHINE: expected["release_machine_arn"],
        settings.RELEASES_TOPIC: expected["releases_topic_arn"],
        settings.CODE_VERSION: code.version(run.project.root),
    }
