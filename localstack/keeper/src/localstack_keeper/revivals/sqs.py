"""SQS: messages that were received and not deleted become visible."""

import logging

from localstack.services.sqs.models import MessageMoveTaskStatus, SqsQueue, sqs_stores

from localstack_keeper.revivals import RESTARTED_ERROR, Provider

LOG = logging.getLogger(__name__)


def revive(_provider: Provider) -> None:
    """Settle what was in flight."""
    queues = [queue for _, _, store in sqs_stores.iter_stores() for queue in store.queues.values()]
    visible = sum(_show_messages(queue) for queue in queues)
    if visible:
        LOG.warning("keeper: %d messages were invisible and are visible again", visible)
    for _, _, store in sqs_stores.iter_stores():
        for task in store.move_tasks.values():
            if task.status in (MessageMoveTaskStatus.CREATED, MessageMoveTaskStatus.RUNNING):
                task.status = MessageMoveTaskStatus.FAILED
                task.failure_reason = RESTARTED_ERROR


def _show_messages(queue: SqsQueue) -> int:
    count = len(queue.inflight)
    for message in queue.inflight:
        message.visibility_deadline = None
    queue.requeue_inflight_messages()
    return count
