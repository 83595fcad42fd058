"""Withdrawn titles are kept by id, and a document that holds anything else is named."""

import pytest

from movierec.errors import ArtifactError
from movierec.model import encoding, withdrawn
from movierec.testing.memory import MemoryStore


def test_nothing_is_withdrawn_at_first():
    assert withdrawn.load(MemoryStore()) == frozenset()


def test_what_is_saved_takes_the_place_of_what_was():
    store = MemoryStore()
    withdrawn.save(store, ["b+2", "a+1"])
    assert withdrawn.load(store) == {"a+1", "b+2"}
    withdrawn.save(store, [])
    assert withdrawn.load(store) == frozenset()


@pytest.mark.parametrize("value", [{}, [1], "a"])
def test_anything_else_is_refused(value):
    store = MemoryStore({withdrawn.KEY: encoding.dump_json(value)})
    with pytest.raises(ArtifactError, match="list of movie ids"):
        withdrawn.load(store)
