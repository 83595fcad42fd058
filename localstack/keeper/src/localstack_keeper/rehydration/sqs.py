"""SQS: in-flight messages become visible."""

import logging

from localstack.services.sqs.models import MessageMoveTaskStatus, SqsQueue, sqs_stores

from localstack_keeper.rehydration import RESTARTED_ERROR, Provider

LOG = logging.getLogger(__name__)


def rehydrate(_provider: Provider) -> None:
    """Make in-flight messages visible, and fail move tasks."""
    queues = [queue for _, _, store in sqs_stores.iter_stores() for queue in store.queues.values()]
    visible = sum(_make_visible(queue) for queue in queues)
    if visible:
        LOG.warning("keeper: %d messages were invisible and are visible again", visible)
    for _, _, store in sqs_stores.iter_stores():
        for task in store.move_tasks.values():
            if task.status in (MessageMoveTaskStatus.CREATED, MessageMoveTaskStatus.RUNNING):
                task.status = MessageMoveTaskStatus.FAILED
                task.failure_reason = RESTARTED_ERROR


def _make_visible(queue: SqsQueue) -> int:
    messages = list(queue.inflight)
    for message in messages:
        message.visibility_deadline = None
    queue.requeue_inflight_messages()
    return len(messages)
