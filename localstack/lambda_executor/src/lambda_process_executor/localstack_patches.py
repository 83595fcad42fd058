"""Patches of LocalStack's Lambda; the README says what of it they mend, and why."""

import contextlib
import copy
import functools
import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from localstack.aws.api.lambda_ import (
    InvalidParameterValueException,
    InvocationType,
    TooManyRequestsException,
)
from localstack.aws.connect import connect_to
from localstack.runtime import events as runtime_events
from localstack.services.cloudwatch.cloudwatch_database_helper import CloudwatchDatabase
from localstack.services.lambda_.invocation import execution_environment, version_manager
from localstack.services.lambda_.invocation.event_manager import LambdaEventManager
from localstack.services.lambda_.invocation.execution_environment import ExecutionEnvironment
from localstack.services.lambda_.invocation.internal_sqs_queue import get_fake_sqs_client
from localstack.services.lambda_.invocation.lambda_models import (
    AliasRoutingConfig,
    FunctionVersion,
    Invocation,
    InvocationResult,
    RequestEntityTooLargeException,
    S3Code,
)
from localstack.services.lambda_.invocation.lambda_service import LambdaService
from localstack.services.lambda_.invocation.logs import QUEUE_SHUTDOWN, LogHandler
from localstack.services.lambda_.invocation.version_manager import LambdaVersionManager
from localstack.services.lambda_.provider import LambdaProvider
from localstack.utils.aws.client_types import ServicePrincipal
from localstack.utils.patch import patch
from localstack.utils.threads import FuncThread

from lambda_process_executor import alias_weights, log_delivery, sandbox, unpacked_code
from lambda_process_executor.hooks import shared_publisher
from lambda_process_executor.invocation import client_context
from lambda_process_executor.log_delivery import Event
from lambda_process_executor.metrics_publisher import Caller

LOG = logging.getLogger(__name__)

# AWS: "Lambda quotas", invocation payload: 6 MB for a synchronous request, 1 MB for an event.
REQUEST_LIMIT_BYTES: Final = 6_291_456
EVENT_LIMIT_BYTES: Final = 1_048_576

# The longest init phase of a function with a short timeout (130 s), and the start of its process.
STARTUP_MARGIN_S: Final = 150

LogsClient = Any
"""boto3's clients have no types of their own."""


@functools.cache
def apply_patches() -> None:
    """Replace functions of LocalStack by those of this module. Once."""
    # That module's own name for it, which `patch` would not reach.
    version_manager.start_thread = functools.partial(_start_thread, version_manager.start_thread)
    execution_environment.Timer = _daemon_timer
    patch(LambdaService.invoke)(_invoke_function)
    patch(LambdaService.stop)(_stop_service)
    patch(LambdaEventManager.stop)(_stop_event_manager)
    patch(LambdaVersionManager.invoke)(_invoke_version)
    patch(ExecutionEnvironment.invoke)(_invoke_environment)
    patch(ExecutionEnvironment.get_log_group_name)(_get_log_group_name)
    patch(ExecutionEnvironment._get_startup_timeout_seconds)(_get_startup_timeout_s)  # noqa: SLF001
    patch(LogHandler.run_log_loop)(_run_log_loop)
    patch(CloudwatchDatabase.get_metric_data_stat)(_get_metric_data_stat)
    patch(S3Code.destroy_cached)(_destroy_cached)
    patch(LambdaProvider._create_routing_config_model)(_create_routing_config_model)  # noqa: SLF001


def _start_thread(
    original: Callable[..., FuncThread], *args: object, **kwargs: object
) -> FuncThread | None:
    if str(kwargs.get("name")).startswith("record-cloudwatch-metric"):
        return None
    return original(*args, **kwargs)


def _daemon_timer(*args: Any, **kwargs: Any) -> threading.Timer:  # noqa: ANN401
    """Make a timer that does not keep the process: of a keep-alive, minutes may be left."""
    timer = threading.Timer(*args, **kwargs)
    timer.daemon = True
    return timer


def _stop_service(original: Callable[..., None], service: LambdaService) -> None:
    # LocalStack stops a few versions at a time, for 5 s, and knows no environment still in init.
    # And it stops the service before it resets or loads its state, too: then others follow.
    if runtime_events.infra_stopping.is_set():
        sandbox.SHARED.close()
    else:
        sandbox.SHARED.stop_all()
    original(service)


def _stop_event_manager(original: Callable[..., None], manager: LambdaEventManager) -> None:
    with manager.lifecycle_lock:
        if manager.poller is not None:
            manager.poller.stop()
            # The queue goes with its manager, and a poller waits for its messages up to 2 s.
            queues = get_fake_sqs_client().queue_manager
            queues.get_queue(manager.event_queue_url).shutdown()
        original(manager)


def _invoke_function(
    original: Callable[..., InvocationResult | None],
    service: LambdaService,
    *args: object,
    payload: bytes | None,
    invocation_type: InvocationType | None,
    **kwargs: object,
) -> InvocationResult | None:
    kind = invocation_type or InvocationType.RequestResponse
    limit_bytes = EVENT_LIMIT_BYTES if kind == InvocationType.Event else REQUEST_LIMIT_BYTES
    if payload is not None and len(payload) > limit_bytes:
        raise RequestEntityTooLargeException(
            f"{len(payload)} byte payload is too large for the {kind} invocation type "
            f"(limit {limit_bytes} bytes)"
        )
    return original(service, *args, payload=payload, invocation_type=invocation_type, **kwargs)


def _invoke_version(
    original: Callable[..., InvocationResult],
    manager: LambdaVersionManager,
    *,
    invocation: Invocation,
) -> InvocationResult:
    try:
        return original(manager, invocation=invocation)
    except TooManyRequestsException:
        version = manager.function_version.id.qualifier
        shared_publisher().throttled(Caller.of(invocation.invoked_arn, version))
        raise


def _invoke_environment(
    original: Callable[..., InvocationResult],
    environment: ExecutionEnvironment,
    invocation: Invocation,
) -> InvocationResult:
    # An environment has one invocation at a time, so its executor can keep what is this one's.
    environment.runtime_executor.client_context = client_context(
        invocation.client_context, is_event=invocation.invocation_type == InvocationType.Event
    )
    return original(environment, invocation)


def _get_log_group_name(original: Callable[..., str], environment: ExecutionEnvironment) -> str:
    chosen: str | None = environment.function_version.config.logging_config.get("LogGroup")
    return chosen or original(environment)


def _get_startup_timeout_s(_original: Callable[..., int], environment: ExecutionEnvironment) -> int:
    # The sandbox keeps its own time of the init; this one, 20 s, would end a provisioned
    # environment's before it.
    timeout_s: int = environment.function_version.config.timeout
    return timeout_s + STARTUP_MARGIN_S


def _run_log_loop(_original: object, handler: LogHandler, *_args: object, **_: object) -> None:
    client = connect_to.with_assumed_role(
        region_name=handler.region,
        role_arn=handler.role_arn,
        service_principal=ServicePrincipal.lambda_,
    ).logs
    ended = False
    while not ended:
        items, ended = log_delivery.gather(
            handler.log_queue, QUEUE_SHUTDOWN, handler._shutdown_event.wait  # noqa: SLF001
        )  # fmt: skip
        logs = ((item.log_group, item.log_stream, item.logs) for item in items)
        for group, stream, events in log_delivery.requests(logs):
            try:
                _put_log_events(client, group, stream, events)
            except Exception:
                # The thread's edge: whatever CloudWatch Logs says, later logs have to go out.
                LOG.exception("could not deliver %d log events to %s", len(events), group)


def _put_log_events(client: LogsClient, group: str, stream: str, events: list[Event]) -> None:
    target = {"logGroupName": group, "logStreamName": stream}
    try:
        client.put_log_events(**target, logEvents=events)
    except client.exceptions.ResourceNotFoundException:
        with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
            client.create_log_group(logGroupName=group)
        client.create_log_stream(**target)
        client.put_log_events(**target, logEvents=events)


def _get_metric_data_stat(
    original: Callable[..., dict[str, list[object]]],
    database: CloudwatchDatabase,
    *args: object,
    **kwargs: object,
) -> dict[str, list[object]]:
    whole_set = database._get_ordered_dimensions_with_separator  # noqa: SLF001
    exact = copy.copy(database)
    # Its `for_search` would surround each dimension with wildcards.
    exact._get_ordered_dimensions_with_separator = lambda dims, **_: whole_set(dims)  # noqa: SLF001
    return original(exact, *args, **kwargs)


def _destroy_cached(_original: object, code: S3Code) -> None:
    unpacked_code.SHARED.remove(code.get_unzipped_code_location().parent)


def _create_routing_config_model(
    original: Callable[..., AliasRoutingConfig],
    provider: LambdaProvider,
    weights: dict[str, float],
    function_version: FunctionVersion | None = None,
) -> AliasRoutingConfig:
    if function_version is not None:
        return original(provider, weights, function_version)
    wrong = alias_weights.fault(weights)
    if wrong:
        raise InvalidParameterValueException(wrong, Type="User")
    return AliasRoutingConfig(version_weights=weights)
