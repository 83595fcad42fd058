"""Having restored services go on.

LocalStack's own `on_after_state_load` hook does Lambda; the rest is in `revivals`. What was in
flight when the emulator ended is settled: executions end, messages become visible.
"""

import importlib
from typing import Any, Final

# LocalStack's hook asks for the alarms of one account in all regions that there are.
_INSTEAD: Final = frozenset({"cloudwatch"})
_BESIDE: Final = frozenset({"events", "sqs", "stepfunctions"})


def revive(name: str, service: Any) -> None:  # noqa: ANN401 - LocalStack's Service
    """Have a restored service go on."""
    if name not in _INSTEAD:
        service.lifecycle_hook.on_after_state_load()
    if name in _INSTEAD | _BESIDE:
        # Not ahead of need: Step Functions alone is 100 MB and a second.
        module = importlib.import_module(f"localstack_keeper.revivals.{name}")
        module.revive(service._provider)  # noqa: SLF001
