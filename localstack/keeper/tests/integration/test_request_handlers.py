"""Who comes in when, and what a request takes on its way in."""

import io
import threading
from types import SimpleNamespace

import pytest
from localstack import config
from localstack.aws.handlers.service import ServiceRequestRouter
from localstack.aws.handlers.service_plugin import ServiceLoader
from localstack.services.plugins import Service
from twisted.web import http

from localstack_keeper.object_bodies import PACKED_BYTES
from localstack_keeper.request_handlers import StartupBarrier, buffer_in_memory, wait_until_loaded


class Manager:
    """As much of a service manager as the loader asks."""

    def exists(self, _name: str) -> bool:
        """Return that it does."""
        return True

    def require(self, name: str) -> Service:
        """Return a service of nothing."""
        return Service(name, skeleton=object())


class SlowRouter(ServiceRequestRouter):
    """A router that takes note of a service when a test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun = threading.Event()
        self.goes_on = threading.Event()
        self.is_done = False

    def add_skeleton(self, _skeleton: object) -> None:
        """Take the time."""
        self.has_begun.set()
        self.goes_on.wait(10)
        self.is_done = True


def test_the_second_request_to_a_service_waits_for_its_operations() -> None:
    router = SlowRouter()
    loader = ServiceLoader(Manager(), router)
    context = SimpleNamespace(service=SimpleNamespace(service_name="s3"))
    seen = []

    def ask() -> None:
        wait_until_loaded(ServiceLoader.require_service, loader, None, context, None)
        seen.append(router.is_done)

    first, second = threading.Thread(target=ask), threading.Thread(target=ask)
    first.start()
    router.has_begun.wait(10)
    second.start()
    second.join(0.2)
    assert second.is_alive()
    router.goes_on.set()
    first.join()
    second.join()
    assert seen == [True, True]


def test_requests_from_outside_wait_for_the_barrier_and_internal_ones_do_not() -> None:
    barrier = StartupBarrier()
    barrier(None, SimpleNamespace(is_internal_call=True), None)
    passed = threading.Event()

    def come() -> None:
        barrier(None, SimpleNamespace(is_internal_call=False), None)
        passed.set()

    outside = threading.Thread(target=come)
    outside.start()
    assert not passed.wait(0.1)
    barrier.set()
    assert passed.wait(10)
    outside.join()


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
    buffer_in_memory()
    assert has_file(length) == makes_file


def test_another_server_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "GATEWAY_SERVER", "hypercorn")
    buffer_in_memory()
    assert has_file(100_000)
