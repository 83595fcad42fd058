"""Bringing a run up: each part as soon as what it needs is there.

    packages ─┬─▶ terraform ─▶ buckets ─┬─▶ ingest ─┐
    emulator ─┘                └─ role ─┼─▶ API ─▶ proxy ─▶ saved
    kafka ──────────────────────────────┘

The emulator comes back with all that it had. What was deployed from the same code, configuration
and packages is not deployed again: neither Terraform nor Chalice is asked then.

Terraform's provider watches each new lifecycle rule for 50 s. Nothing needs those rules, so
everything else goes on meanwhile, and `wait` comes back when Terraform has ended too.
"""

import threading
from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import Any, Final, Self

from movierec import settings
from movierec.aws.api_gateway import Gateway
from movierec.aws.lambda_function import LambdaFunction
from movierec.errors import UnavailableError
from movierec.kafka import topics
from movierec.releases.traffic_split import ALIAS
from movierec.stack import loopback_ports, run_environment
from movierec.stack import options as run_options
from movierec.stack.deploy import chalice_api, deployed_state, terraform
from movierec.stack.options import Options
from movierec.stack.packaging import lambda_packages, package_files
from movierec.stack.packaging.package_files import Built
from movierec.stack.processes import child_environment, former_run
from movierec.stack.processes.client import Client
from movierec.stack.processes.spec import Spec
from movierec.stack.progress import Progress
from movierec.stack.services import emulator, kafka_broker, workers

_POLL_S: Final = 0.5
_API_ROLE: Final = f"{terraform.PLATFORM}.module.api"

# The parts of a deployment, beside the workers.
_TERRAFORM: Final = "terraform"
_API: Final = "api"


class Startup:
    """A run coming up; as a context manager it begins, and abandons at the end what is unfinished.

    Each part is a Future that others wait for: `kafka` (bootstrap servers), `lake` (the buckets
    are there), `retrain` (the state machine's ARN; every function is there too), `api` (its URL),
    `ingest`, `proxy`, `terraform`, `saved` (what was deployed is on the disk).
    """

    def __init__(
        self,
        client: Client,
        progress: Progress,
        inherited: Mapping[str, str],
        options: Options | None = None,
    ) -> None:
        self.client = client
        self.run = client.run.create()
        self.options = options or Options()
        self._deployment = deployed_state.Changes(self.run)
        self._given = run_options.variables(self.run, inherited, self.options)
        # Commands that run meanwhile go on by what an earlier `up` has deployed.
        self.variables = {**self._given, **self._deployment.outputs}
        self._progress = progress
        self._inherited = inherited
        self._emulator_port = loopback_ports.port(self.run, loopback_ports.EMULATOR)
        self._basic = child_environment.basic(inherited, path=self.run.project.path)
        self._aws_environment = self._basic | child_environment.emulated_aws(
            loopback_ports.url(self._emulator_port)
        )
        self._tool_environment = self._basic | child_environment.internet(inherited)
        self._cleanup = ExitStack()
        self._learning = threading.Lock()
        self._applying = threading.Lock()
        self._abandoned = False
        # Most of the threads wait for another one; none of them computes.
        self._pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="startup")

    def __enter__(self) -> Self:
        """Begin. Raises UnavailableError at once for a port that somebody else has."""
        former_run.stop(self.run)
        self._claim_ports()
        self._emulator_is_new = self.client.find(loopback_ports.EMULATOR) is None
        run_environment.adopt(self.variables)
        begin = self._pool.submit
        self.kafka = begin(self._start_kafka)
        self._kept = begin(self._start_emulator)
        self._functions = begin(self._build_functions)
        self._vendor = begin(self._build_vendor)
        self._workspace = begin(self._prepare_terraform)
        self._apply = begin(self._begin_apply)
        self.lake = begin(self._await_lake)
        self.retrain = begin(self._await_retrain)
        self.api = begin(self._deploy_api)
        self.ingest = begin(self._start_ingest)
        self.proxy = begin(self._start_proxy)
        self.terraform = begin(self._await_terraform)
        self.saved = begin(self._save)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop Terraform, with its state saved, and start nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._applying:
            self._abandoned = True
        self._cleanup.close()

    def wait(self) -> Mapping[str, str]:
        """Return the run's environment when everything answers. Raises the first part's error."""
        parts: list[Future[Any]] = [self.kafka, self._kept, self.lake, self.api, self.ingest]
        parts += [self.proxy, self.terraform, self.saved]
        done = set[Future[Any]]()
        # A signal that comes just before the main thread sleeps is handled after that.
        while len(done) < len(parts) and not any(part.exception() for part in done):
            done, _ = wait(parts, _POLL_S, FIRST_EXCEPTION)
        for part in (part for part in parts if part in done):
            part.result()
        return self.variables

    def _claim_ports(self) -> None:
        """Raise UnavailableError for a port that is taken, before anything is started."""
        for name in (loopback_ports.EMULATOR, loopback_ports.PROXY):
            if not self.client.knows(name):
                loopback_ports.require_free(self.run, name)

    def _start_kafka(self) -> str:
        with self._progress.step("kafka"):
            external = run_options.external_kafka(self.run, self._inherited)
            servers = external or kafka_broker.start(
                self.client, self._inherited, nodes=self.options.kafka_nodes
            )
            reach = {**self._inherited, settings.KAFKA_BOOTSTRAP: servers}
            options = settings.kafka_options(reach)
            for topic in settings.topics(self.variables):
                topics.ensure(options, topic, self.options.partitions)
        self._learn({settings.KAFKA_BOOTSTRAP: servers})
        return servers

    def _start_emulator(self) -> emulator.Kept:
        with self._progress.step("localstack"):
            self.client.start(emulator.spec(self.run, self._inherited))
            kept = emulator.kept(self._emulator_port)
        if self._emulator_is_new and kept.generation == 0:
            # It has nothing, and a state that remembers would plan no changes.
            terraform.forget(self.run.terraform)
        return kept

    def _build_functions(self) -> tuple[Built, ...]:
        with self._progress.step("function packages"):
            return lambda_packages.build_functions(
                self.run.project,
                self._tool_environment,
                stream=self.client.stream,
                into=self.run.packages,
            )

    def _build_vendor(self) -> Built:
        with self._progress.step("API package"):
            return lambda_packages.build_vendor(
                self.run.project, self._tool_environment, stream=self.client.stream
            )

    def _prepare_terraform(self) -> terraform.Workspace:
        project = self.run.project
        env = {**self._tool_environment, **self._aws_environment}
        workspace = terraform.Workspace(
            folder=self.run.terraform,
            env=terraform.configured(env, project.terraform_config),
            log=self.run.logs / "terraform.log",
            stream=self.client.stream,
        )
        zips = {built.name: str(built.path) for built in self._functions.result()}
        code_version = self.variables[settings.CODE_VERSION]
        variables = run_options.terraform_variables(self._inherited, zips, code_version)
        workspace.stage(project.root / "infra" / "terraform", variables)
        # Here, beside the emulator's start, and not when that is over.
        if not workspace.is_initialised:
            with self._progress.step("terraform init"):
                workspace.init()
        return workspace

    def _begin_apply(self) -> terraform.Apply | None:
        """Have Terraform make what is to be; None when all of that is there."""
        workspace = self._workspace.result()
        zips = {built.name: built.sha256 for built in self._functions.result()}
        wanted = package_files.fingerprint({**zips, _TERRAFORM: workspace.fingerprint()})
        if self._deployment.has(_TERRAFORM, wanted, self._kept.result()):
            return None
        with self._applying:
            if self._abandoned:
                raise UnavailableError("terraform is not started: the run is being stopped")
            return self._cleanup.enter_context(workspace.apply())

    def _made(self, *addresses: str) -> None:
        """Return when Terraform has made these, or had no need to."""
        apply = self._apply.result()
        if apply is not None:
            apply.wait_for(set(addresses))

    def _await_lake(self) -> None:
        if self._apply.result() is not None:
            with self._progress.step("buckets"):
                self._made(terraform.STORAGE_READY)

    def _await_retrain(self) -> str:
        # Names alone join the state machine to its functions: it may be there before they are. And
        # the others are waited for as well, for the emulator unzips hundreds of megabytes of them,
        # at the cost of whoever asks for recommendations meanwhile.
        self._made(*(f"{terraform.PLATFORM}.module.{name}" for name in ("function", "retrain")))
        return self.variables[settings.STATE_MACHINE]

    def _await_terraform(self) -> None:
        apply = self._apply.result()
        if apply is None:
            return
        with self._progress.step("terraform apply") as step:
            apply.watch(
                lambda seen: step.update(len(seen.done), len(seen.done) + len(seen.pending))
            )
            apply.result()

    def _deploy_api(self) -> str:
        self._made(_API_ROLE, terraform.STORAGE_READY)
        role_arn = terraform.expected_outputs()["api_role_arn"]
        named = (settings.ARTIFACTS_BUCKET, settings.CODE_VERSION)
        variables = {name: self.variables[name] for name in named}
        wanted = chalice_api.fingerprint(self._vendor.result(), role_arn, variables)
        if self._deployment.has(_API, wanted, self._kept.result()):
            return self.variables[settings.API_URL]
        with self._progress.step("chalice deploy"):
            rest_api_id = chalice_api.deploy(
                self.client,
                self._aws_environment,
                role_arn=role_arn,
                variables=variables,
                rest_api_id=Gateway().find(chalice_api.APP),
            )
            # Routes may have changed under a release that is out.
            if LambdaFunction(chalice_api.FUNCTION).alias() is not None:
                Gateway().ensure_live_stage(rest_api_id)
        url = chalice_api.local_url(self.variables["AWS_ENDPOINT_URL"], rest_api_id, ALIAS)
        outputs = {
            settings.API_FUNCTION: chalice_api.FUNCTION,
            settings.REST_API: rest_api_id,
            settings.API_URL: url,
        }
        self._deployment.add_outputs(outputs)
        self._learn(outputs)
        return url

    def _start_ingest(self) -> None:
        self.kafka.result()
        self.lake.result()
        self.options.before_ingest()
        spec = workers.ingest(self.run, {**self._basic, **self.variables})
        self._start_worker(spec, "ingest_worker")

    def _start_proxy(self) -> str:
        self.api.result()
        spec = workers.proxy(self.run, {**self._basic, **self.variables})
        self._start_worker(spec, "proxy")
        return self.variables[settings.PROXY_URL]

    def _start_worker(self, spec: Spec, folder: str) -> None:
        """Start a worker, in the place of one of other code, or that knows another emulator."""
        root = self.run.project.root
        own = package_files.sources(root / folder, f"{folder}/")
        code = {**own, **package_files.library_files(root, own)}
        parts = {
            "code": package_files.digest(code),
            "command": " ".join(spec.command),
            **self._given,
        }
        with self._progress.step(spec.name):
            if not self._deployment.has(
                spec.name, package_files.fingerprint(parts), self._kept.result()
            ):
                self.client.stop(spec.name)
            self.client.start(spec)

    def _save(self) -> None:
        """Have all of it saved, and written down so that it need not be made again."""
        for part in (self.kafka, self.api, self.ingest, self.proxy, self.terraform):
            part.result()
        self._deployment.finish(lambda: emulator.save(self._emulator_port))

    def _learn(self, variables: Mapping[str, str]) -> None:
        with self._learning:
            self.variables |= variables
            run_environment.save(self.run, self.variables)
            run_environment.adopt(self.variables)
