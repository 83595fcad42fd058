"""The site's exports: JSON lines, from a file or a URL."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from urllib.error import HTTPError

from movierec.cli import http_client
from movierec.errors import ConfigError, UnavailableError

_TIMEOUT_S: Final = 30.0


def lines(source: str) -> Iterator[bytes]:
    """Yield the lines of a file or URL. Raises ConfigError and UnavailableError."""
    with ExitStack() as stack:
        try:
            if source.startswith(("http://", "https://")):
                opened = http_client.opened(
                    source, timeout_s=_TIMEOUT_S, next_step="is the site up?"
                )
                yield from stack.enter_context(opened)
            else:
                yield from stack.enter_context(Path(source).open("rb"))
        except HTTPError as exc:
            raise UnavailableError(
                f"{source}: answered {exc.code}; is it the export's URL?"
            ) from exc
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else exc
            raise ConfigError(f"{source}: {reason}; name a file or URL of JSON lines") from exc
