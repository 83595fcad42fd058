"""LocalStack's executor interface on top of a sandbox."""

import logging
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from localstack import config
from localstack.aws.api.lambda_ import PackageType
from localstack.runtime import events
from localstack.services.lambda_.invocation.executor_endpoint import StatusErrorException
from localstack.services.lambda_.invocation.lambda_models import (
    FunctionVersion,
    InitializationType,
    InvocationResult,
)
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

from lambda_process_executor import path_layout, sandbox, unpacked_code, work_folder
from lambda_process_executor.environment_variables import function_environment
from lambda_process_executor.error_responses import ExecutorError
from lambda_process_executor.function_process import Command
from lambda_process_executor.hooks import shared_publisher
from lambda_process_executor.invocation import INIT_TIMEOUT_S, Invocation, Spec
from lambda_process_executor.metrics_publisher import Caller
from lambda_process_executor.path_layout import HostFolders
from lambda_process_executor.platform_log import Json, PlatformLog, Text
from lambda_process_executor.python_interpreters import find
from lambda_process_executor.sandbox import Sandbox

LOG = logging.getLogger(__name__)

# No client waits for what may take longer: API Gateway gives up after half of it. On AWS it has
# processors of its own; here it would take them from functions that a client waits for.
_CLIENT_TIMEOUT_S: Final = 60
# A third of another's share (sched(7)): the median of short functions is then nearly what it is
# with nothing beside them, and a long function still gets on when all the others are busy.
_NICENESS: Final = 5

_LOOPBACK: Final = "127.0.0.1"
_WILDCARDS: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared, not listened on


class ProcessRuntimeExecutor(RuntimeExecutor):
    """One execution environment: LocalStack makes it, starts it, invokes it and stops it."""

    sandbox: Sandbox | None = None
    client_context = ""
    """JSON that the invocation's caller gave, set for each by `localstack_patches`."""

    def start(self, env_vars: dict[str, object]) -> None:
        """Start the function's process and wait for its init to end.

        A failed init is AWS's business of the first invocation, which repeats it and answers
        with the error and its log. Provisioned concurrency alone wants to know at once.
        """
        used = _folders(self.function_version)
        unpacked_code.SHARED.acquire(used)
        release = partial(unpacked_code.SHARED.release, used)
        try:
            spec = _spec(self.id, self.function_version, env_vars)
            self.sandbox = Sandbox(spec, release)
        except BaseException:
            release()
            raise
        sandbox.SHARED.add(self.sandbox)
        fault = self.sandbox.init()
        if fault is not None and _is_provisioned(env_vars):
            self.sandbox.stop(now=True)
            raise StatusErrorException("init failed", payload=fault.payload)

    def stop(self) -> None:
        """End the environment; while the emulator runs on, after the invocation in progress."""
        if self.sandbox is not None:
            self.sandbox.stop(now=events.infra_stopping.is_set())

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        """Run one invocation and return its answer and its whole log."""
        if self.sandbox is None:
            raise ExecutorError(f"environment {self.id} was invoked before it was started")
        invocation = Invocation(
            request_id=payload["invoke-id"],
            arn=payload["invoked-function-arn"],
            payload=payload["payload"].encode(),
            trace_id=payload.get("trace-id", ""),
            client_context=self.client_context,
        )
        caller = Caller.of(invocation.arn, self.function_version.id.qualifier)
        with shared_publisher().running(caller) as ended:
            outcome = self.sandbox.invoke(invocation)
            ended(outcome)
        return InvocationResult(
            request_id=invocation.request_id,
            payload=outcome.payload,
            is_error=outcome.is_error,
            logs=outcome.log,
        )

    def get_address(self) -> str:
        """Return where the environment is reached."""
        return _LOOPBACK

    def get_endpoint_from_executor(self) -> str:
        """Return the host under which a function reaches LocalStack."""
        host = str(config.GATEWAY_LISTEN[0].host)
        return _LOOPBACK if host in _WILDCARDS else host

    def get_runtime_endpoint(self) -> str:
        """Return nothing of use: the Runtime API is the sandbox's own affair."""
        return f"http://{_LOOPBACK}"

    def get_logs(self) -> str:
        """Return what the environment has written since its last invocation."""
        return self.sandbox.recent_log() if self.sandbox is not None else ""

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        """Unpack code and layers, and find the interpreter: what is wrong shows on creation."""
        settings = function_version.config
        if settings.package_type != PackageType.Zip or settings.code is None:
            raise ExecutorError("container images cannot run without Docker: deploy a zip")
        interpreter = find(settings.runtime, os.environ)
        unpacked_code.SHARED.retain(_folders(function_version))
        settings.code.prepare_for_execution()
        for layer in settings.layers:
            layer.code.prepare_for_execution()
        _layers_folder(function_version)
        path_layout.aws_layout_works(interpreter, os.environ)  # once, and not in a cold start
        LOG.debug("%s runs on %s", function_version.qualified_arn, interpreter.executable)

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        """Remove the version's merged layers once nobody uses them."""
        unpacked_code.SHARED.remove(_version_folder(function_version))


def _is_provisioned(env_vars: dict[str, object]) -> bool:
    kind = env_vars.get("AWS_LAMBDA_INITIALIZATION_TYPE")
    return bool(kind == InitializationType.provisioned_concurrency)


def _version_folder(function_version: FunctionVersion) -> Path:
    # The revision changes with every change of code or settings; one may be of two versions.
    name = f"{function_version.config.internal_revision}-{function_version.id.qualifier}"
    return work_folder.own_folder() / "versions" / name


def _folders(function_version: FunctionVersion) -> tuple[Path, ...]:
    """Return what goes when a version does, and is to stay while its code runs."""
    settings = function_version.config
    codes = (settings.code, *(layer.code for layer in settings.layers))
    unpacked = (code.get_unzipped_code_location().parent for code in codes)
    return (*unpacked, _version_folder(function_version))


def _layers_folder(function_version: FunctionVersion) -> Path | None:
    unpacked = [layer.code.get_unzipped_code_location() for layer in function_version.config.layers]
    if not unpacked:
        return None
    return unpacked_code.merge_layers(unpacked, _version_folder(function_version) / "opt")


def _platform_log(function_version: FunctionVersion, given: dict[str, object]) -> PlatformLog:
    settings = function_version.config.logging_config
    if settings.get("LogFormat") != "JSON":
        return Text()
    level = settings.get("SystemLogLevel", "INFO")
    return Json(time.time, level=level, initialisation=str(given["AWS_LAMBDA_INITIALIZATION_TYPE"]))


def _spec(sandbox_id: str, function_version: FunctionVersion, given: dict[str, object]) -> Spec:
    settings = function_version.config
    scratch = work_folder.own_folder() / "environments" / sandbox_id
    # AWS, "Init phase": 130 s with provisioned concurrency, or the function's timeout if longer.
    init_timeout_s = max(130.0, settings.timeout) if _is_provisioned(given) else INIT_TIMEOUT_S
    return Spec(
        function=function_version.id.function_name,
        version=function_version.id.qualifier,
        runtime=settings.runtime.replace("python", "python:"),
        runtime_arn=(settings.runtime_version_config or {}).get("RuntimeVersionArn", ""),
        memory_mb=settings.memory_size,
        timeout_s=float(settings.timeout),
        payload_limit_bytes=config.LAMBDA_LIMITS_MAX_FUNCTION_PAYLOAD_SIZE_BYTES,
        disk_mb=settings.ephemeral_storage.size,
        scratch=scratch,
        command=_commands(function_version, given, scratch),
        log=_platform_log(function_version, given),
        init_timeout_s=init_timeout_s,
    )


def _commands(
    function_version: FunctionVersion, given: dict[str, object], scratch: Path
) -> Callable[[str], Command]:
    """Return what makes the command of a function's process, from the Runtime API's address."""
    settings = function_version.config
    interpreter = find(settings.runtime, os.environ)
    code = Path(settings.code.get_unzipped_code_location())
    folders = HostFolders(code, _layers_folder(function_version), scratch)
    if path_layout.aws_layout_works(interpreter, os.environ):
        layout, tree = path_layout.aws_layout(folders, interpreter)
    else:
        layout, tree = path_layout.host_layout(folders, interpreter), ()
    own = settings.environment or {}
    niceness = _NICENESS if settings.timeout > _CLIENT_TIMEOUT_S else 0

    def command(api: str) -> Command:
        env = function_environment(given, own, layout, runtime=settings.runtime, api=api)
        wrapper = env.get("AWS_LAMBDA_EXEC_WRAPPER")  # gets the runtime's command as its arguments
        argv = (*([wrapper] if wrapper else []), str(layout.python), str(layout.bootstrap))
        return Command(argv, layout.task, env, tree, niceness)

    return command
