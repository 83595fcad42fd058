"""LocalStack's S3 provider, whose answers wait for the disk.

Chosen by `keeper` as the provider of S3 when there is a folder to keep state in.
"""

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from localstack.aws.api import CommonServiceException, RequestContext
from localstack.aws.skeleton import create_dispatch_table
from localstack.services.plugins import Service, aws_provider
from localstack.services.s3.provider import S3Provider
from localstack.state import StateVisitor

from localstack_keeper.changes import is_look
from localstack_keeper.s3_log import S3Log
from localstack_keeper.s3_records import find_bucket
from localstack_keeper.s3_storage import FileObjectStore, KeyLocks, Places

LOG = logging.getLogger(__name__)

Request = Mapping[str, Any]
Call = Callable[[RequestContext, Request], Any]

_logs: list[S3Log] = []
"""The emulator's one log, once it is there."""

# Requests about objects that name no key of their own.
_MANY_OBJECTS: Final = frozenset({"DeleteObjects", "PostObject"})
_METADATA: Final = frozenset(
    {"PutObjectAcl", "PutObjectLegalHold", "PutObjectRetention", "RestoreObject"}
)
# It asks other services, which may take their time.
_SLOW: Final = frozenset({"PutBucketNotificationConfiguration"})


class KeptS3Provider(S3Provider):
    """S3 with its bodies in files, and a journal instead of snapshots."""

    def __init__(self, log: S3Log) -> None:
        self.bodies = FileObjectStore(log)
        super().__init__(self.bodies)
        self._preconditions_locks = KeyLocks(self.bodies.places)
        self._log = log

    def accept_state_visitor(self, visitor: StateVisitor) -> None:
        """Show nothing: all state is on the disk already."""

    def on_after_state_reset(self) -> None:
        """Have the journal forget what LocalStack has forgotten."""
        super().on_after_state_reset()
        self._log.append(("reset",))
        self._log.commit()

    def on_before_stop(self) -> None:
        """Stop; no request is served any more."""
        super().on_before_stop()
        self._log.close()


def use(log: S3Log) -> None:
    """Have the provider that LocalStack will load write to this log."""
    _logs.append(log)


@aws_provider(api="s3", name="keeper")
def s3() -> Service:
    """Return S3, as LocalStack asks for it."""
    [log] = _logs
    provider = KeptS3Provider(log)
    return Service.for_provider(
        provider, lambda made: _committing(create_dispatch_table(made), provider.bodies)
    )


def _committing(table: Mapping[str, Call], bodies: FileObjectStore) -> dict[str, Call]:
    return {
        name: functools.partial(_look, bodies.log, call)
        if is_look(name)
        else functools.partial(_answer, bodies, name, call)
        for name, call in table.items()
    }


def _look(log: S3Log, call: Call, context: RequestContext, request: Request) -> Any:  # noqa: ANN401
    """Answer with nothing that a crash could still take back."""
    try:
        return call(context, request)
    finally:
        log.settle()


def _answer(
    bodies: FileObjectStore, name: str, call: Call, context: RequestContext, request: Request
) -> Any:  # noqa: ANN401
    log = bodies.log
    try:
        try:
            with _alone(bodies.places, name, request):
                return _perform(log, name, functools.partial(call, context, request), request)
        finally:  # that something is there already, too, is said only if it stays
            log.commit()
    except OSError as exc:
        LOG.exception("keeper: S3 %s was not written", name)
        raise CommonServiceException(
            "ServiceUnavailable",
            f"{name} was not written: {exc.strerror or exc}. Free some space and try again.",
            status_code=503,
        ) from exc


@contextlib.contextmanager
def _alone(places: Places, name: str, request: Request) -> Iterator[None]:
    """Keep others away where LocalStack does not: from an upload, and from a key that it checks.

    It holds these locks of a key itself while it checks and puts what is not uploaded in parts.
    """
    bucket, key, upload = (request.get(of) for of in ("Bucket", "Key", "UploadId"))
    with contextlib.ExitStack() as held:
        if name in {"CompleteMultipartUpload", "AbortMultipartUpload"}:
            held.enter_context(places.taken((bucket, "upload", upload)))
        if name in {"CompleteMultipartUpload", "DeleteObject"}:
            held.enter_context(places.taken((bucket, key)))
            held.enter_context(places.taken((bucket, key, "null")))
        yield


def _perform(log: S3Log, name: str, call: Callable[[], Any], request: Request) -> Any:  # noqa: ANN401
    """Do what is asked, and record what the models' own hooks do not see."""
    bucket, key = request.get("Bucket"), request.get("Key")
    if name in _METADATA:
        with log.order:  # no other version may become the newest in between
            answer = call()
            found = find_bucket(request["Bucket"])
            if found is not None:
                log.object_changed(found, request["Key"], request.get("VersionId"))
        return answer
    if bucket is None or key is not None or name in _MANY_OBJECTS:
        return call()
    if name in _SLOW:
        answer = call()
        log.bucket_changed(bucket)
        return answer
    return log.change_bucket(bucket, call)
