"""Who comes in when."""

import threading
from types import SimpleNamespace

from localstack.aws.handlers.service import ServiceRequestRouter
from localstack.aws.handlers.service_plugin import ServiceLoader
from localstack.services.plugins import Service

from localstack_keeper.gate import Gate, with_all_operations


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
        with_all_operations(ServiceLoader.require_service, loader, None, context, None)
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


def test_requests_from_outside_wait_for_the_gate_and_internal_ones_do_not() -> None:
    gate = Gate()
    gate(None, SimpleNamespace(is_internal_call=True), None)
    passed = threading.Event()

    def come() -> None:
        gate(None, SimpleNamespace(is_internal_call=False), None)
        passed.set()

    outside = threading.Thread(target=come)
    outside.start()
    assert not passed.wait(0.1)
    gate.open()
    assert passed.wait(10)
    outside.join()
