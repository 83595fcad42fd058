"""Step Functions: executions are written with their history, and end if they were running."""

import copy
import logging
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from localstack.aws.api.stepfunctions import (
    ExecutionAbortedEventDetails,
    ExecutionStatus,
    HistoryEvent,
    HistoryEventType,
)
from localstack.services.stepfunctions.backend.execution import Execution
from localstack.services.stepfunctions.backend.store import sfn_stores

from localstack_keeper.rehydration import RESTARTED_CAUSE, RESTARTED_ERROR, Provider

LOG = logging.getLogger(__name__)


def rehydrate(_provider: Provider) -> None:
    """End what was running."""
    aborted = sum(
        _abort(execution)
        for _, _, store in sfn_stores.iter_stores()
        for execution in store.executions.values()
    )
    if aborted:
        LOG.warning("keeper: %d executions were running and are aborted", aborted)


def _finished_worker(history: list[HistoryEvent]) -> Any:  # noqa: ANN401
    """Return what stands in for the worker of an execution that has ended."""
    manager = SimpleNamespace(get_event_history=lambda: copy.deepcopy(history))
    return SimpleNamespace(env=SimpleNamespace(event_manager=manager), stop=lambda **_: None)


def _history(execution: Execution) -> list[HistoryEvent]:
    env = execution.exec_worker and execution.exec_worker.env
    history: list[HistoryEvent] = env.event_manager.get_event_history() if env else []
    return history


def reduce(execution: Any) -> Any:  # noqa: ANN401 - as pickle has it
    """Return how an execution is pickled: with its history, without its worker."""
    if not isinstance(execution, Execution):
        return NotImplemented
    state = {**vars(execution), "exec_worker": None, "_cloud_watch_logging_session": None}
    return _execution, (type(execution), state, _history(execution))


def _execution(kind: type[Execution], state: dict[str, Any], history: list[HistoryEvent]) -> Any:  # noqa: ANN401
    execution: Any = object.__new__(kind)
    vars(execution).update(state)
    execution.exec_worker = _finished_worker(history)
    return execution


def _abort(execution: Execution) -> bool:
    if execution.exec_status != ExecutionStatus.RUNNING:
        return False
    execution.stop_date = datetime.now(UTC)
    execution.exec_status = ExecutionStatus.ABORTED
    execution.error, execution.cause = RESTARTED_ERROR, RESTARTED_CAUSE
    history = _history(execution)
    details = ExecutionAbortedEventDetails(error=RESTARTED_ERROR, cause=RESTARTED_CAUSE)
    event = HistoryEvent(
        timestamp=execution.stop_date,
        type=HistoryEventType.ExecutionAborted,
        id=len(history) + 1,
        previousEventId=len(history),
        executionAbortedEventDetails=details,
    )
    execution.exec_worker = _finished_worker([*history, event])
    return True
