"""Requests on their way in: small ones make no file."""

import io

import pytest
from localstack import config
from twisted.web import http

from localstack_keeper.bodies import PACKED_BYTES
from localstack_keeper.request_bodies import keep_in_memory

DECIDES = "_getContentFile"
"""What decides it: Twisted has no public name for that."""


@pytest.fixture(autouse=True)
def _left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, DECIDES, vars(http)[DECIDES])


def has_file(length: int | None) -> bool:
    """Return whether Twisted makes a file for a request of so many bytes, None if it says none."""
    with vars(http)[DECIDES](length) as content:
        return not isinstance(content, io.BytesIO)


@pytest.mark.parametrize(
    ("length", "makes_file"),
    [(0, False), (100_000, False), (PACKED_BYTES, False), (PACKED_BYTES + 1, True), (None, True)],
)
def test_what_will_be_read_as_a_whole_is_in_memory(length: int | None, *, makes_file: bool) -> None:
    keep_in_memory()
    assert has_file(length) == makes_file


def test_another_server_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "GATEWAY_SERVER", "hypercorn")
    keep_in_memory()
    assert has_file(100_000)
