"""Step Functions: executions are written with their history, and end if they were running."""

import copy
import logging
from datetime import UTC, datetime
from typing import Any

from localstack.aws.api.stepfunctions import (
    ExecutionAbortedEventDetails,
    ExecutionStatus,
    HistoryEvent,
    HistoryEventType,
)
from localstack.services.stepfunctions.backend.execution import Execution
from localstack.services.stepfunctions.backend.store import sfn_stores

from localstack_keeper.revivals import RESTARTED_CAUSE, RESTARTED_ERROR, Provider

LOG = logging.getLogger(__name__)


def revive(_provider: Provider) -> None:
    """End what was running."""
    aborted = sum(
        _abort(execution)
        for _, _, store in sfn_stores.iter_stores()
        for execution in store.executions.values()
    )
    if aborted:
        LOG.warning("keeper: %d executions were running and are aborted", aborted)


class PastWorker:
    """What is left of an execution's worker: the history of what it did."""

    def __init__(self, history: list[HistoryEvent]) -> None:
        self.history = history

    @property
    def env(self) -> "PastWorker":
        """Stand in for the worker's environment."""
        return self

    @property
    def event_manager(self) -> "PastWorker":
        """Stand in for the environment's event manager."""
        return self

    def get_event_history(self) -> list[HistoryEvent]:
        """Return the history."""
        return copy.deepcopy(self.history)

    def stop(self, **_: object) -> None:
        """Do nothing: what is past needs no stopping."""

    def abort(self, at: datetime) -> None:
        """Add the event that ends an aborted execution."""
        self.history.append(
            HistoryEvent(
                timestamp=at,
                type=HistoryEventType.ExecutionAborted,
                id=len(self.history) + 1,
                previousEventId=len(self.history),
                executionAbortedEventDetails=ExecutionAbortedEventDetails(
                    error=RESTARTED_ERROR, cause=RESTARTED_CAUSE
                ),
            )
        )


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
    execution.exec_worker = PastWorker(history)
    return execution


def _abort(execution: Execution) -> bool:
    if execution.exec_status != ExecutionStatus.RUNNING:
        return False
    execution.stop_date = datetime.now(UTC)
    execution.exec_status = ExecutionStatus.ABORTED
    execution.error, execution.cause = RESTARTED_ERROR, RESTARTED_CAUSE
    execution.exec_worker.abort(execution.stop_date)
    return True
