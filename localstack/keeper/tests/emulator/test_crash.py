"""Killed at any moment under concurrent writers, it has what was acknowledged.

What was not acknowledged is there whole or not at all.

`KEEPER_CRASHES` says how many kills, 50 by default; `KEEPER_CRASH_SEED` which. All are of a whole
LocalStack. A tenth of them start it from nothing; the others have its imports done (see `forks`).
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.delta import Delta, python_with_deltalake
from tests.harness import Client, Emulator

CRASHES = int(os.environ.get("KEEPER_CRASHES", "50"))
SEED = int(os.environ.get("KEEPER_CRASH_SEED", "1"))
FROM_NOTHING = CRASHES // 10
LONGEST_S = 0.5
WRITERS = 4
PART_BYTES = 5 * 1024 * 1024


@dataclass
class Expected:
    """What one writer knows of the keys that are its own, and of its versions of a shared one."""

    name: str
    acknowledged: int = 0
    """How many of all kinds of writes."""
    current: dict[str, bytes | None] = field(default_factory=dict)
    """What was acknowledged last, None if that was a deletion."""
    tried: dict[str, bytes | None] = field(default_factory=dict)
    """What was asked for, and not acknowledged."""
    versions: dict[str, bytes] = field(default_factory=dict)
    deleted_versions: set[str] = field(default_factory=set)
    claimed: dict[str, bytes] = field(default_factory=dict)
    """Keys that this writer was the first to write."""
    fresh: set[str] = field(default_factory=set)
    """Keys and versions written since the last look; of the older ones, some are looked at."""


class Writer:
    """Writes all kinds of things until the emulator is gone."""

    def __init__(self, s3: Client, expected: Expected, rng: random.Random, turn: int) -> None:
        self._s3 = s3
        self._expected = expected
        self._rng = rng
        self._turn = turn
        self.has_begun = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Write until a request fails, which is when the emulator was killed."""
        actions: list[Callable[[], None]] = [
            self._put, self._put, self._copy, self._delete, self._put_version,
            self._delete_version, self._claim, self._upload,
        ]  # fmt: skip
        try:
            while True:
                self._rng.choice(actions)()
                self._expected.acknowledged += 1
                self.has_begun.set()
        except (BotoCoreError, ClientError) as exc:
            self.failure = exc
            self.has_begun.set()

    def _data(self) -> bytes:
        return self._rng.randbytes(self._rng.choice([10, 1000, 100_000]))

    def _key(self) -> str:
        return f"{self._expected.name}/{self._rng.randrange(8)}"

    def _change(self, key: str, data: bytes | None, call: Callable[[], object]) -> None:
        self._expected.tried[key] = data
        call()
        self._expected.current[key] = data
        self._expected.fresh.add(key)
        del self._expected.tried[key]

    def _put(self) -> None:
        key, data = self._key(), self._data()
        self._change(key, data, lambda: self._s3.put_object(Bucket="plain", Key=key, Body=data))

    def _delete(self) -> None:
        key = self._key()
        self._change(key, None, lambda: self._s3.delete_object(Bucket="plain", Key=key))

    def _copy(self) -> None:
        source, key = self._key(), self._key()
        data = self._expected.current.get(source)
        if data is not None and source != key:
            self._change(
                key, data,
                lambda: self._s3.copy_object(Bucket="plain", Key=key, CopySource=f"plain/{source}"),
            )  # fmt: skip

    def _put_version(self) -> None:
        data = self._data()
        version = self._s3.put_object(Bucket="versioned", Key="shared", Body=data)["VersionId"]
        self._expected.versions[version] = data
        self._expected.fresh.add(version)

    def _delete_version(self) -> None:
        if self._expected.versions:
            version = self._rng.choice(list(self._expected.versions))
            del self._expected.versions[version]
            self._s3.delete_object(Bucket="versioned", Key="shared", VersionId=version)
            self._expected.deleted_versions.add(version)

    def _claim(self) -> None:
        key, data = f"claim/{self._turn}/{self._rng.randrange(1000)}", self._data()
        try:
            self._s3.put_object(Bucket="plain", Key=key, Body=data, IfNoneMatch="*")
        except ClientError as exc:
            if exc.response["Error"]["Code"] != "PreconditionFailed":
                raise
        else:
            self._expected.claimed[key] = data
            self._expected.fresh.add(key)

    def _upload(self) -> None:
        key = self._key()
        of = {"Bucket": "plain", "Key": key}
        upload = self._s3.create_multipart_upload(**of)["UploadId"]
        bodies = [self._rng.randbytes(PART_BYTES), b"end"]
        tags = [
            self._s3.upload_part(**of, UploadId=upload, PartNumber=n, Body=data)["ETag"]
            for n, data in enumerate(bodies, 1)
        ]
        parts = [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]
        self._change(
            key, b"".join(bodies),
            lambda: self._s3.complete_multipart_upload(
                **of, UploadId=upload, MultipartUpload={"Parts": parts}
            ),
        )  # fmt: skip


def read(s3: Client, bucket: str, key: str, **settings: str) -> bytes | None:
    try:
        found = s3.get_object(Bucket=bucket, Key=key, **settings)
    except ClientError as exc:
        if exc.response["Error"]["Code"] not in {"NoSuchKey", "NoSuchVersion"}:
            raise
        return None
    with found["Body"] as stream:
        data: bytes = stream.read()
        return data


def check(s3: Client, expected: Expected, rng: random.Random, share: float) -> None:
    """Compare, and take what an unacknowledged request left as what is there.

    A share of what was there at the last look is looked at again.
    """
    expected.fresh |= expected.tried.keys()

    def is_due(name: str) -> bool:
        return name in expected.fresh or rng.random() < share

    for key in filter(is_due, expected.current.keys() | expected.tried.keys()):
        found = read(s3, "plain", key)
        possible = [expected.current.get(key)]
        if key in expected.tried:
            possible.append(expected.tried[key])
        assert found in possible, key
        expected.current[key] = found
    expected.tried.clear()
    for version, data in expected.versions.items():
        if is_due(version):
            assert read(s3, "versioned", "shared", VersionId=version) == data, version
    for version in filter(is_due, expected.deleted_versions):
        assert read(s3, "versioned", "shared", VersionId=version) is None, version
    for key, data in expected.claimed.items():
        if is_due(key):
            assert read(s3, "plain", key) == data, key
    expected.fresh.clear()


def check_order(s3: Client, all_expected: list[Expected]) -> None:
    """Compare the order of the versions of the one key that all write to: the newest is first."""
    pages = s3.get_paginator("list_object_versions").paginate(Bucket="versioned")
    listed = [version for page in pages for version in page.get("Versions", [])]
    assert [version["IsLatest"] for version in listed] == [True] + [False] * (len(listed) - 1)
    place = {version["VersionId"]: n for n, version in enumerate(listed)}
    for expected in all_expected:
        places = [place[version] for version in expected.versions]
        assert places == sorted(places, reverse=True)


@pytest.fixture
def delta(tmp_path: Path) -> Iterator[Delta | None]:
    """Return a Delta table's writer, None where there is no deltalake."""
    python = python_with_deltalake()
    delta = Delta(python, tmp_path) if python else None
    yield delta
    if delta:
        delta.end()


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Emulator, Emulator]]:
    """Return an emulator that starts from nothing, and one that does not, on one folder."""
    slow = Emulator(tmp_path / "slow")
    fast = Emulator(tmp_path / "fast", is_forked=True, KEEPER_FOLDER=str(slow.state))
    yield slow, fast
    fast.finish()
    slow.finish()


def write_until_killed(
    emulator: Emulator, all_expected: list[Expected], delta: Delta | None, rng: random.Random,
    turn: int,
) -> None:  # fmt: skip
    """Have all write, kill it at some moment, and see that nothing else stopped them."""
    s3 = emulator.client("s3")
    writers = [Writer(s3, e, random.Random(rng.random()), turn) for e in all_expected]
    threads = [threading.Thread(target=writer.run, daemon=True) for writer in writers]
    if delta:
        delta.begin(emulator.url)
    for thread in threads:
        thread.start()
    rng.choice(writers).has_begun.wait(60)
    if delta and turn % 3 == 2:
        delta.wait_acknowledged()  # however slow this machine is, some of its commits are made
    time.sleep(rng.uniform(0, LONGEST_S))  # the moment of the kill is what is tried out
    emulator.kill()
    for thread, writer in zip(threads, writers, strict=True):
        thread.join(60)
        assert not thread.is_alive()
        if isinstance(writer.failure, ClientError):
            raise writer.failure
    if delta:
        delta.wait_failed()
    emulator.stop(signal.SIGKILL)


def start_after_all(emulator: Emulator, rng: random.Random, turn: int) -> None:
    """Start it; each fifth time not before it was killed while it read what is there."""
    if turn % 5 == 4:
        emulator.launch()
        time.sleep(rng.uniform(0, 0.2))
        emulator.stop(signal.SIGKILL)
    emulator.start()
    assert "is missing" not in emulator.log()


def test_no_acknowledged_write_is_lost_whenever_it_is_killed(
    both: tuple[Emulator, Emulator], delta: Delta | None
) -> None:
    rng = random.Random(SEED)
    emulator, fast = both
    emulator.start()
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="plain")
    s3.create_bucket(Bucket="versioned")
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    all_expected = [Expected(f"w{n}") for n in range(WRITERS)]
    for turn in range(CRASHES):
        write_until_killed(emulator, all_expected, delta, rng, turn)
        emulator = emulator if turn < FROM_NOTHING else fast
        start_after_all(emulator, rng, turn)
        if delta:
            delta.begin_look(emulator.url)
        is_last = turn == CRASHES - 1
        for expected in all_expected:
            check(emulator.client("s3"), expected, rng, 1 if is_last else 0.05)
        if delta:
            delta.check()
    check_order(emulator.client("s3"), all_expected)
    assert sum(e.acknowledged for e in all_expected) > CRASHES * WRITERS
    if delta is None:
        pytest.skip("Delta tables were not tried, all else was: nothing here has deltalake")
    assert delta.acknowledged >= CRASHES // 3 - 1
