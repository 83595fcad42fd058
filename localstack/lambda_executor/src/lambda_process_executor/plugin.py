"""What LocalStack loads for LAMBDA_RUNTIME_EXECUTOR=process."""

from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor


class ProcessExecutorPlugin(RuntimeExecutorPlugin):
    """The plugin named `process`."""

    name = "process"

    def load(self, *_args: object, **_kwargs: object) -> type[RuntimeExecutor]:
        """Return the executor's class; imported here, because listing plugins must stay cheap."""
        from lambda_process_executor.executor import ProcessRuntimeExecutor  # noqa: PLC0415
        from lambda_process_executor.storage import remove_left_over  # noqa: PLC0415
        from lambda_process_executor.takeover import take_over  # noqa: PLC0415

        remove_left_over()
        take_over()
        return ProcessRuntimeExecutor
