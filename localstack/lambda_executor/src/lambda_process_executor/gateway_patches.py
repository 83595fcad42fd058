"""Patches of LocalStack's gateway, the server of its one port: the host it listens on, its stop."""

from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

from localstack.config import HostAndPort
from localstack.runtime.server import twisted as server
from localstack.utils.patch import patch
from twisted.internet import endpoints, reactor


def apply() -> None:
    """Patch the class of the server, which is made later."""
    patch(server.TwistedRuntimeServer.register)(_register)
    patch(server.TwistedRuntimeServer.shutdown)(_shut_down)


def _register(
    original: Callable[..., None],
    gateway_server: server.TwistedRuntimeServer,
    gateway: object,
    listen: Sequence[HostAndPort],
    *credentials: Any,  # noqa: ANN401 - handed on
) -> None:
    for address in listen:
        # What the original makes without a host.
        server.endpoints = SimpleNamespace(
            TCP4ServerEndpoint=partial(endpoints.TCP4ServerEndpoint, interface=address.host),
            TCP6ServerEndpoint=endpoints.TCP6ServerEndpoint,
        )
        original(gateway_server, gateway, [address], *credentials)


def _shut_down(original: Callable[..., None], gateway_server: server.TwistedRuntimeServer) -> None:
    original(gateway_server)
    reactor.wakeUp()  # else it ends with the next timer, seconds later
