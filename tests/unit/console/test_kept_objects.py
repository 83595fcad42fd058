"""Objects that never change are read once, others always."""

import pytest

from console.kept_objects import KeptObjects
from movierec.errors import ObjectExistsError, ObjectNotFoundError
from movierec.testing.memory import MemoryStore


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        ("releases/20261120T101500123Z/0001-start.json", True),
        ("models/m/manifest.json", True),
        ("datasets/d/report.json", True),
        ("gates/m.json", False),
        ("releases/20261120T101500123Z/page.html", False),
        ("models/m/topk.npy", False),
    ],
)
def test_sealed_objects_are_read_once(key, kept):
    below = MemoryStore({key: b"first"})
    store = KeptObjects(below)
    assert store.get(key) == b"first"
    below.objects[key] = b"second"

    assert store.get(key) == (b"first" if kept else b"second")


def test_an_object_that_is_not_there_yet_is_asked_for_again():
    below = MemoryStore()
    store = KeptObjects(below)
    with pytest.raises(ObjectNotFoundError):
        store.get("models/m/manifest.json")

    store.put("models/m/manifest.json", b"here")

    assert store.get("models/m/manifest.json") == b"here"


def test_a_large_object_is_not_kept():
    below = MemoryStore({"models/m/report.json": b"0" * 300_000})
    store = KeptObjects(below)
    store.get("models/m/report.json")
    below.objects["models/m/report.json"] = b""

    assert store.get("models/m/report.json") == b""


def test_writes_and_listings_go_through():
    store = KeptObjects(MemoryStore())
    store.put_if_absent("a/1", b"")
    with pytest.raises(ObjectExistsError):
        store.put_if_absent("a/1", b"")

    assert list(store.keys("a/")) == ["a/1"]
