"""Rehydration: restored services do again what they did before.

LocalStack's own `on_after_state_load` hook does Lambda; the modules here do the rest. What was in
flight when the emulator ended is settled: executions end, messages become visible.
"""

import importlib
from typing import Any, Final

RESTARTED_ERROR: Final = "Emulator.Restarted"
RESTARTED_CAUSE: Final = "The emulator was stopped or ended while this execution was running"

Provider = Any
"""A service's provider."""

# LocalStack's hook asks for the alarms of one account in all regions that there are.
_INSTEAD: Final = frozenset({"cloudwatch"})
_BESIDE: Final = frozenset({"events", "sqs", "stepfunctions"})


def rehydrate(name: str, service: Any) -> None:  # noqa: ANN401 - LocalStack's Service
    """Have a restored service go on."""
    if name not in _INSTEAD:
        service.lifecycle_hook.on_after_state_load()
    if name in _INSTEAD | _BESIDE:
        # Imported late: Step Functions alone is 100 MB and a second.
        module = importlib.import_module(f"{__name__}.{name}")
        module.rehydrate(service._provider)  # noqa: SLF001
