"""An object store on S3."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from movierec import settings
from movierec.aws.session import client, translated
from movierec.errors import (
    BucketNotFoundError,
    MovierecError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
)

_BY_CODE: Final[Mapping[str, type[MovierecError]]] = {
    "NoSuchKey": ObjectNotFoundError,
    "404": ObjectNotFoundError,
    "NoSuchBucket": BucketNotFoundError,
    "PreconditionFailed": ObjectExistsError,
    # Of two concurrent conditional puts S3 answers 409 to the loser.
    "ConditionalRequestConflict": ObjectExistsError,
}

# S3's own limit of a request.
_DELETED_AT_ONCE: Final = 1000


class S3Store:
    """`movierec.ports.ObjectStore` on one bucket."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self._s3 = client("s3")

    @classmethod
    def from_env(cls, env: Mapping[str, str], variable: str) -> "S3Store":
        """Open the bucket that a variable of `movierec.settings` names. Raises ConfigError."""
        return cls(settings.require(env, variable))

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        with self._errors("get", key):
            body: bytes = self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def put(self, key: str, body: bytes) -> None:
        """Write an object, replacing any with that key."""
        with self._errors("put", key):
            self._s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def put_if_absent(self, key: str, body: bytes) -> None:
        """Write an object that must not exist: S3's conditional put (If-None-Match: *)."""
        with self._errors("put", key):
            self._s3.put_object(Bucket=self.bucket, Key=key, Body=body, IfNoneMatch="*")

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that start with `prefix`, in byte order."""
        with self._errors("list", prefix):
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix
            )
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield entry["Key"]

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; one that does not exist is no error."""
        for some in itertools.batched(keys, _DELETED_AT_ONCE, strict=False):
            with self._errors("delete", some[0]):
                answer = self._s3.delete_objects(
                    Bucket=self.bucket,
                    Delete={"Objects": [{"Key": key} for key in some], "Quiet": True},
                )
            for error in answer.get("Errors", ()):
                raise StoreError(f"delete s3://{self.bucket}/{error['Key']}: {error['Message']}")

    def download(self, key: str, path: Path) -> None:
        """Stream an object into a file, atomically."""
        part = path.with_name(path.name + ".part")
        with self._errors("get", key):
            body = self._s3.get_object(Bucket=self.bucket, Key=key)["Body"]
            with part.open("wb") as file:
                for chunk in body.iter_chunks(1 << 20):
                    file.write(chunk)
        part.replace(path)

    def _errors(self, verb: str, key: str) -> AbstractContextManager[None]:
        return translated(f"{verb} s3://{self.bucket}/{key}", _BY_CODE, StoreError)
