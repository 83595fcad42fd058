"""S3 is never behind: what was acknowledged is there after a kill, with its bytes."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from tests.harness import Client, Emulator, wait_until

PART_BYTES = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Return an emulator that is killed and started between requests."""
    emulator = Emulator(tmp_path_factory.mktemp("emulator"), is_forked=True)
    emulator.start()
    yield emulator
    emulator.finish()


def kill(emulator: Emulator) -> Client:
    emulator.restart(signal.SIGKILL)
    return emulator.client("s3")


def body(s3: Client, bucket: str, key: str, **settings: str) -> bytes:
    with s3.get_object(Bucket=bucket, Key=key, **settings)["Body"] as stream:
        data: bytes = stream.read()
        return data


def room_bytes(emulator: Emulator) -> int:
    """Return how much of the disk all bodies take."""
    files = [*(emulator.state / "s3/bodies").glob("*/*"), *(emulator.state / "s3/packs").glob("*")]
    return sum(map(_room_bytes, files))


def _room_bytes(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:  # deleted since it was listed
        return 0


def test_every_kind_of_write_survives_a_kill(emulator: Emulator) -> None:
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="plain")
    s3.create_bucket(Bucket="versioned")
    s3.put_object(Bucket="versioned", Key="early", Body=b"before there were versions")
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_tagging(Bucket="plain", Tagging={"TagSet": [{"Key": "of", "Value": "bucket"}]})
    rules = [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 9}}]
    s3.put_bucket_lifecycle_configuration(Bucket="plain", LifecycleConfiguration={"Rules": rules})
    s3.put_object(Bucket="plain", Key="k", Body=b"first", ContentType="text/x", Metadata={"a": "b"})
    s3.put_object(Bucket="plain", Key="k", Body=b"second", Tagging="t=1")
    s3.put_object(Bucket="plain", Key="gone", Body=b"x")
    s3.delete_object(Bucket="plain", Key="gone")
    s3.copy_object(Bucket="plain", Key="copy", CopySource="plain/k")
    s3.copy_object(
        Bucket="plain", Key="copy", CopySource="plain/copy",
        MetadataDirective="REPLACE", Metadata={"new": "yes"},
    )  # fmt: skip
    s3.put_object_tagging(
        Bucket="plain", Key="copy", Tagging={"TagSet": [{"Key": "late", "Value": "1"}]}
    )
    versions = [
        s3.put_object(Bucket="versioned", Key="v", Body=b"%d" % n)["VersionId"] for n in range(4)
    ]
    s3.delete_object(Bucket="versioned", Key="v", VersionId=versions[1])
    marker = s3.delete_object(Bucket="versioned", Key="v")["VersionId"]
    before = [
        s3.list_objects_v2(Bucket="plain")["Contents"],
        s3.list_object_versions(Bucket="versioned")["Versions"],
        s3.list_object_versions(Bucket="versioned")["DeleteMarkers"],
        s3.get_bucket_lifecycle_configuration(Bucket="plain")["Rules"],
        s3.get_bucket_tagging(Bucket="plain")["TagSet"],
        s3.get_object_tagging(Bucket="plain", Key="copy")["TagSet"],
    ]
    s3 = kill(emulator)
    assert before == [
        s3.list_objects_v2(Bucket="plain")["Contents"],
        s3.list_object_versions(Bucket="versioned")["Versions"],
        s3.list_object_versions(Bucket="versioned")["DeleteMarkers"],
        s3.get_bucket_lifecycle_configuration(Bucket="plain")["Rules"],
        s3.get_bucket_tagging(Bucket="plain")["TagSet"],
        s3.get_object_tagging(Bucket="plain", Key="copy")["TagSet"],
    ]
    assert body(s3, "plain", "k") == body(s3, "plain", "copy") == b"second"
    assert s3.head_object(Bucket="plain", Key="copy")["Metadata"] == {"new": "yes"}
    assert body(s3, "versioned", "early") == b"before there were versions"
    assert [body(s3, "versioned", "v", VersionId=versions[n]) for n in (0, 2, 3)] == [
        b"0", b"2", b"3",
    ]  # fmt: skip
    s3.delete_object(Bucket="versioned", Key="v", VersionId=marker)
    assert body(s3, "versioned", "v") == b"3"


def test_an_upload_goes_on_after_a_kill_at_each_step(emulator: Emulator) -> None:
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="uploads")
    upload = s3.create_multipart_upload(Bucket="uploads", Key="k", Metadata={"a": "b"})["UploadId"]
    of = {"Bucket": "uploads", "Key": "k", "UploadId": upload}
    first = os.urandom(PART_BYTES)
    s3.upload_part(**of, PartNumber=1, Body=b"replaced")
    parts = [s3.upload_part(**of, PartNumber=1, Body=first)["ETag"]]
    s3 = kill(emulator)
    s3.put_object(Bucket="uploads", Key="source", Body=b"0123456789")
    parts.append(
        s3.upload_part_copy(
            **of, PartNumber=2, CopySource="uploads/source", CopySourceRange="bytes=2-5"
        )["CopyPartResult"]["ETag"]
    )
    listed = [{"PartNumber": n + 1, "ETag": tag} for n, tag in enumerate(parts)]
    etag = s3.complete_multipart_upload(**of, MultipartUpload={"Parts": listed})["ETag"]
    s3 = kill(emulator)
    assert body(s3, "uploads", "k") == first + b"2345"
    head = s3.head_object(Bucket="uploads", Key="k")
    assert (head["ETag"], head["Metadata"]) == (etag, {"a": "b"})
    assert body(s3, "uploads", "k", Range=f"bytes={PART_BYTES - 1}-") == first[-1:] + b"2345"
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="uploads")
    aborted = s3.create_multipart_upload(Bucket="uploads", Key="no")["UploadId"]
    s3.upload_part(Bucket="uploads", Key="no", UploadId=aborted, PartNumber=1, Body=b"x")
    s3.abort_multipart_upload(Bucket="uploads", Key="no", UploadId=aborted)
    s3 = kill(emulator)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="uploads")


def test_conditions_hold_and_refused_writes_change_nothing(emulator: Emulator) -> None:
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="conditions")
    etag = s3.put_object(Bucket="conditions", Key="k", Body=b"won", IfNoneMatch="*")["ETag"]
    s3 = kill(emulator)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="conditions", Key="k", Body=b"lost", IfNoneMatch="*")
    with pytest.raises(ClientError, match=r"BadDigest|InvalidDigest"):
        s3.put_object(
            Bucket="conditions", Key="k", Body=b"lost", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg=="
        )
    s3.put_object(Bucket="conditions", Key="other", Body=b"other")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.copy_object(Bucket="conditions", Key="k", CopySource="conditions/other", IfNoneMatch="*")
    assert body(s3, "conditions", "k") == b"won"
    s3.put_object(Bucket="conditions", Key="k", Body=b"next", IfMatch=etag)
    s3 = kill(emulator)
    assert body(s3, "conditions", "k") == b"next"


@pytest.mark.parametrize("how", ["put", "upload"])
def test_of_many_who_write_a_key_that_is_not_there_one_does(emulator: Emulator, how: str) -> None:
    s3 = emulator.client("s3")
    bucket = f"race-{how}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("first", "second", "third"):
        writes = [(put if how == "put" else uploaded)(s3, bucket, key) for _ in range(6)]
        with ThreadPoolExecutor(len(writes)) as threads:
            answers = list(threads.map(lambda write: write(), writes))
        assert sorted(answers)[:2] == [200, 412], answers
        assert len(s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]) == 1


def put(s3: Client, bucket: str, key: str) -> Callable[[], int]:
    of = {"Bucket": bucket, "Key": key, "IfNoneMatch": "*"}
    return lambda: status(s3.put_object, **of, Body=os.urandom(100))


def uploaded(s3: Client, bucket: str, key: str) -> Callable[[], int]:
    of: dict[str, object] = {"Bucket": bucket, "Key": key}
    of["UploadId"] = s3.create_multipart_upload(**of)["UploadId"]
    tag = s3.upload_part(**of, PartNumber=1, Body=os.urandom(100))["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": tag}]}
    return lambda: status(
        s3.complete_multipart_upload, **of, MultipartUpload=parts, IfNoneMatch="*"
    )


def test_a_bucket_that_was_deleted_stays_so_and_can_be_made_again(emulator: Emulator) -> None:
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="again")
    s3.put_object(Bucket="again", Key="old", Body=b"old")
    s3.delete_objects(Bucket="again", Delete={"Objects": [{"Key": "old"}]})
    s3.delete_bucket(Bucket="again")
    s3 = kill(emulator)
    assert "again" not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    s3.create_bucket(Bucket="again")
    s3.put_object(Bucket="again", Key="new", Body=b"new")
    s3 = kill(emulator)
    assert [found["Key"] for found in s3.list_objects_v2(Bucket="again")["Contents"]] == ["new"]


@pytest.mark.parametrize("size_bytes", [500_000, 1_500_000], ids=["packed", "alone"])
def test_space_of_all_that_is_gone_comes_back(emulator: Emulator, size_bytes: int) -> None:
    """Of what is deleted, overwritten, or a part of an upload that came to its end."""
    s3 = emulator.client("s3")
    bucket = f"space{size_bytes}"
    s3.create_bucket(Bucket=bucket)
    before = room_bytes(emulator)
    data = os.urandom(size_bytes)
    for n in range(3):
        s3.put_object(Bucket=bucket, Key="same", Body=data)
        s3.put_object(Bucket=bucket, Key=f"k{n}", Body=data)
    for n in range(3):
        s3.delete_object(Bucket=bucket, Key=f"k{n}")
    of = {"Bucket": bucket, "Key": "up"}
    upload = s3.create_multipart_upload(**of)["UploadId"]
    s3.upload_part(**of, UploadId=upload, PartNumber=1, Body=data)
    s3.abort_multipart_upload(**of, UploadId=upload)
    assert room_bytes(emulator) > before + 3 * size_bytes
    wait_until(
        lambda: room_bytes(emulator) < before + size_bytes + 16_384,
        "the room of the gone is back",
    )
    assert body(s3, bucket, "same") == data


def test_space_of_what_was_gone_at_a_kill_comes_back(emulator: Emulator) -> None:
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="killed")
    before = room_bytes(emulator)
    of = {"Bucket": "killed", "Key": "up"}
    upload = s3.create_multipart_upload(**of)["UploadId"]
    s3.upload_part(**of, UploadId=upload, PartNumber=1, Body=os.urandom(1_500_000))
    s3.put_object(Bucket="killed", Key="k", Body=os.urandom(500_000))
    s3.abort_multipart_upload(**of, UploadId=upload)
    s3.delete_object(Bucket="killed", Key="k")
    kill(emulator)
    assert room_bytes(emulator) <= before + 16_384


def test_memory_does_not_grow_with_the_bucket(emulator: Emulator) -> None:
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="large")
    data = os.urandom(400_000)
    s3.put_object(Bucket="large", Key="warm", Body=data)
    before = resident_bytes(emulator.pid)
    for n in range(150):
        s3.put_object(Bucket="large", Key=f"k{n}", Body=data)
    assert resident_bytes(emulator.pid) - before < 15_000_000
    assert body(s3, "large", "k149") == data


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_a_torn_journal_is_cut_and_said(emulator: Emulator) -> None:
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="torn")
    s3.put_object(Bucket="torn", Key="k", Body=b"whole")
    emulator.stop()
    last = max((emulator.state / "s3").glob("journal-*.log"))
    with last.open("r+b") as file:
        file.seek(len(file.read().rstrip(b"\0")))  # the end of the records
        file.write(b"\x20\0\0\0half of a record")
    emulator.start()
    assert "20 bytes of a write that was not finished are cut" in emulator.log()
    assert body(emulator.client("s3"), "torn", "k") == b"whole"


def test_a_full_disk_answers_5xx_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root only")
    emulator = Emulator(tmp_path / "emulator", is_forked=True, KEEPER_FOLDER=str(small / "state"))
    try:
        emulator.start()
        s3 = emulator.client("s3")
        acknowledged = fill(s3)
        for key in list(acknowledged)[:5]:  # makes room
            s3.delete_object(Bucket="full", Key=key)
            del acknowledged[key]
        acknowledged["later"] = os.urandom(100_000)
        wait_until(
            lambda: (
                status(s3.put_object, Bucket="full", Key="later", Body=acknowledged["later"]) == 200
            ),
            "there is room again",
        )
        emulator.restart(signal.SIGKILL)
        s3 = emulator.client("s3")
        for key, data in acknowledged.items():
            assert body(s3, "full", key) == data
        assert status(s3.put_object, Bucket="full", Key="small again", Body=b"x") == 200
    finally:
        emulator.finish()
        subprocess.run(["umount", "-l", str(small)], check=True)


def fill(s3: Client) -> dict[str, bytes]:
    """Put objects until three were refused; return what was acknowledged."""
    s3.create_bucket(Bucket="full")
    acknowledged: dict[str, bytes] = {}
    refused = 0
    for n in range(100):
        data = os.urandom(100_000)
        answer = status(s3.put_object, Bucket="full", Key=f"k{n:02d}", Body=data)
        if answer == 200:
            acknowledged[f"k{n:02d}"] = data
        else:
            assert answer >= 500
            refused += 1
        if refused == 3:
            break
    assert refused == 3
    assert len(acknowledged) > 5
    return acknowledged


def status(call: object, **request: object) -> int:
    """Return the HTTP status of a request."""
    assert callable(call)
    try:
        answer = call(**request)
    except ClientError as exc:
        answer = exc.response
    code: int = answer["ResponseMetadata"]["HTTPStatusCode"]
    return code
