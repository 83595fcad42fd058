"""LocalStack's S3 provider, with answers that wait until writes are durable."""

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

from localstack_keeper.dirty_services import is_read_only
from localstack_keeper.s3_journal_records import find_bucket
from localstack_keeper.s3_persistence import S3Persistence
from localstack_keeper.s3_storage import FileObjectStore, KeyedLocks, PreconditionLocks

LOG = logging.getLogger(__name__)

Request = Mapping[str, Any]
Call = Callable[[RequestContext, Request], Any]

_instances: list[S3Persistence] = []
"""The emulator's one, once it is recovered."""

# Requests about objects that name no key of their own.
_MANY_OBJECTS: Final = frozenset({"DeleteObjects", "PostObject"})
_METADATA: Final = frozenset(
    {"PutObjectAcl", "PutObjectLegalHold", "PutObjectRetention", "RestoreObject"}
)
# It asks other services, which may take their time.
_SLOW: Final = frozenset({"PutBucketNotificationConfiguration"})


class DurableS3Provider(S3Provider):
    """S3 with its bodies in files, and a journal instead of snapshots."""

    def __init__(self, persistence: S3Persistence) -> None:
        self.object_store = FileObjectStore(persistence)
        super().__init__(self.object_store)
        self._preconditions_locks = PreconditionLocks(self.object_store.locks)
        self._persistence = persistence

    def accept_state_visitor(self, visitor: StateVisitor) -> None:
        """Show nothing: all state is on the disk already."""

    def on_after_state_reset(self) -> None:
        """Have the journal forget what LocalStack has forgotten."""
        super().on_after_state_reset()
        self._persistence.append(("reset",))
        self._persistence.commit()

    def on_before_stop(self) -> None:
        """Stop; no request is served any more."""
        super().on_before_stop()
        self._persistence.close()


def use(persistence: S3Persistence) -> None:
    """Set what the provider that LocalStack will load writes to."""
    _instances.append(persistence)


@aws_provider(api="s3", name="keeper")
def s3() -> Service:
    """Return S3, as LocalStack asks for it."""
    [persistence] = _instances
    provider = DurableS3Provider(persistence)
    return Service.for_provider(
        provider,
        lambda made: {
            name: functools.partial(_read, persistence, call)
            if is_read_only(name)
            else functools.partial(_write, provider.object_store, name, call)
            for name, call in create_dispatch_table(made).items()
        },
    )


def _read(s3: S3Persistence, call: Call, context: RequestContext, request: Request) -> Any:  # noqa: ANN401
    """Answer with nothing that a crash could still take back."""
    try:
        return call(context, request)
    finally:
        with contextlib.suppress(OSError):  # the writer gets the error
            s3.commit()


def _write(
    store: FileObjectStore, name: str, call: Call, context: RequestContext, request: Request
) -> Any:  # noqa: ANN401
    try:
        try:
            with _exclusive(store.locks, name, request):
                return _apply(store.s3, name, functools.partial(call, context, request), request)
        finally:  # an error may say that something exists: only if it stays
            store.s3.commit()
    except OSError as exc:
        LOG.exception("keeper: S3 %s was not written", name)
        raise CommonServiceException(
            "ServiceUnavailable",
            f"{name} was not written: {exc.strerror or exc}. Free some space and try again.",
            status_code=503,
        ) from exc


@contextlib.contextmanager
def _exclusive(locks: KeyedLocks, name: str, request: Request) -> Iterator[None]:
    """Lock what LocalStack does not: an upload that ends, and a key whose conditions it checks.

    It holds these locks of a key itself while it checks and puts what is not uploaded in parts.
    """
    bucket, key, upload = (request.get(of) for of in ("Bucket", "Key", "UploadId"))
    with contextlib.ExitStack() as held:
        if name in {"CompleteMultipartUpload", "AbortMultipartUpload"}:
            held.enter_context(locks.hold((bucket, "upload", upload)))
        if name in {"CompleteMultipartUpload", "DeleteObject"}:
            held.enter_context(locks.hold((bucket, key)))
            held.enter_context(locks.hold((bucket, key, "null")))
        yield


def _apply(s3: S3Persistence, name: str, call: Callable[[], Any], request: Request) -> Any:  # noqa: ANN401
    """Call LocalStack, and record what change capture does not see."""
    bucket, key = request.get("Bucket"), request.get("Key")
    if name in _METADATA:
        with s3.lock:  # no other version may become the newest in between
            answer = call()
            found = find_bucket(request["Bucket"])
            if found is not None:
                s3.object_changed(found, request["Key"], request.get("VersionId"))
        return answer
    if bucket is None or key is not None or name in _MANY_OBJECTS:
        return call()
    if name in _SLOW:
        answer = call()
        s3.bucket_changed(bucket)
        return answer
    return s3.change_bucket(bucket, call)
