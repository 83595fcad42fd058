"""What every ObjectStore promises: held to the fake and to S3 alike."""

import pytest

from movierec.aws.s3_store import S3Store
from movierec.errors import BucketNotFoundError, ObjectExistsError, ObjectNotFoundError
from movierec.testing.memory import MemoryStore


@pytest.fixture(params=["memory", "s3"])
def store(request):
    if request.param == "memory":
        return MemoryStore()
    return S3Store(request.getfixturevalue("bucket"))


def test_what_is_put_is_got(store):
    store.put("a/b", b"\x00body")
    assert store.get("a/b") == b"\x00body"


def test_a_put_replaces(store):
    store.put("k", b"1")
    store.put("k", b"2")
    assert store.get("k") == b"2"


def test_a_missing_key_is_said_by_name(store):
    with pytest.raises(ObjectNotFoundError, match="no-such-key"):
        store.get("no-such-key")


def test_what_exists_is_not_put_again(store):
    store.put_if_absent("k", b"first")
    with pytest.raises(ObjectExistsError, match="k"):
        store.put_if_absent("k", b"second")
    assert store.get("k") == b"first"


def test_keys_come_by_prefix_in_byte_order(store):
    for key in ("b/2", "b/10", "a", "b", "b/é", "b/Z"):
        store.put(key, b"")
    assert list(store.keys("b/")) == ["b/10", "b/2", "b/Z", "b/é"]
    assert list(store.keys("none")) == []


def test_what_is_deleted_is_gone_and_deleting_it_again_is_no_error(store):
    for number in range(1002):
        store.put(f"old/{number}", b"")
    store.put("new", b"")
    store.delete(store.keys("old/"))
    store.delete(["old/1", "never"])
    store.delete([])
    assert list(store.keys("")) == ["new"]


def test_a_download_is_the_object(store, tmp_path):
    body = bytes(range(256)) * 10_000
    store.put("big", body)
    store.download("big", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == body


def test_a_failed_download_leaves_no_file(store, tmp_path):
    with pytest.raises(ObjectNotFoundError):
        store.download("missing", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_bucket_is_said_with_what_to_do(emulated_aws):
    with pytest.raises(BucketNotFoundError, match="movierec up"):
        S3Store("no-such-bucket-here").get("key")
