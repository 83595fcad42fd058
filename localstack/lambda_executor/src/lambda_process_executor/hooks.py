"""What the emulator has one of: the publisher, the observer, and the flush at its end.

LocalStack imports this module whenever it stops, so nothing heavy is imported here.
"""

import functools

from localstack.aws.connect import connect_to
from localstack.runtime import hooks
from localstack.utils.bootstrap import is_api_enabled

from lambda_process_executor.publisher import Observer, Publisher


@functools.cache
def shared_publisher() -> Publisher:
    """Return the emulator's one publisher."""
    return Publisher(_put)


@functools.cache
def shared_observer() -> Observer:
    """Return the emulator's one observer."""
    return Observer(shared_publisher())


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
