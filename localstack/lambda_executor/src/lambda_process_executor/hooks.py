"""What the emulator has one of, and what is done at its start and its end.

LocalStack imports this module whenever it starts, so nothing heavy is imported here.
"""

import atexit
import functools
import gc

from localstack import config
from localstack.aws.connect import connect_to
from localstack.runtime import hooks
from localstack.utils.bootstrap import is_api_enabled

from lambda_process_executor.metrics_publisher import Publisher


@functools.cache
def shared_publisher() -> Publisher:
    """Return the emulator's one publisher."""
    return Publisher(_put)


def _is_in_use() -> bool:
    return bool(config.LAMBDA_RUNTIME_EXECUTOR == "process" and config.GATEWAY_SERVER == "twisted")


@hooks.on_infra_start(should_load=_is_in_use)
def patch_gateway() -> None:
    """Bind the gateway to its host; its server is made after this."""
    from lambda_process_executor import gateway_patches  # noqa: PLC0415 - see above

    gateway_patches.apply()
    # At its end the interpreter collects garbage again and again: 1 to 2 s, for memory that goes
    # with the process.
    atexit.register(gc.freeze)


@hooks.on_infra_shutdown(priority=100)
def flush_metrics() -> None:
    """Publish what is left while CloudWatch still takes it, before anything saves its state."""
    if shared_publisher.cache_info().currsize:
        shared_publisher().flush()


def _put(account: str, region: str, namespace: str, data: list[dict[str, object]]) -> None:
    if not is_api_enabled("cloudwatch"):
        return
    client = connect_to(aws_access_key_id=account, region_name=region).cloudwatch
    client.put_metric_data(Namespace=namespace, MetricData=data)
