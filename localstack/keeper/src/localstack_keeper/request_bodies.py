"""Bodies of requests on their way in: in memory, where they are read from anyway.

Twisted, LocalStack's HTTP server, puts 100,000 bytes and more into a temporary file. For every put
it is made, written and deleted, on the disk whose journal the sync of that same put writes out.
"""

import io
from collections.abc import Callable
from typing import BinaryIO

from localstack import config
from localstack.utils.patch import patch

from localstack_keeper.bodies import PACKED_BYTES


def keep_in_memory() -> None:
    """Have the bodies of requests in memory if they are small."""
    if config.GATEWAY_SERVER == "twisted":
        from twisted.web import http  # noqa: PLC0415 - LocalStack needs no Twisted for other servers

        patch(http._getContentFile)(_content)  # noqa: SLF001 - nothing public decides it


def _content(in_file: Callable[[int | None], BinaryIO], length: int | None) -> BinaryIO:
    return io.BytesIO() if length is not None and length <= PACKED_BYTES else in_file(length)
