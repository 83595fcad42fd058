"""What LocalStack loads for LAMBDA_RUNTIME_EXECUTOR=process."""

from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor


class ProcessExecutorPlugin(RuntimeExecutorPlugin):
    """The plugin named `process`."""

    name = "process"

    def load(self, *_args: object, **_kwargs: object) -> type[RuntimeExecutor]:
        """Return the executor's class; imported here, because listing plugins must stay cheap."""
        from lambda_process_executor.executor import ProcessRuntimeExecutor  # noqa: PLC0415
        from lambda_process_executor.localstack_patches import apply_patches  # noqa: PLC0415
        from lambda_process_executor.work_folder import remove_stale  # noqa: PLC0415

        remove_stale()
        apply_patches()
        return ProcessRuntimeExecutor
