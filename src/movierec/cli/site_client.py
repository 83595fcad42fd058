"""Client of the site's HTTP API of users and movies.

`GET /user/<id>` and `GET /movie/<id>` answer one JSON object; newer sites also take up to 200 ids
at once, separated by commas, and answer a list. Exports are JSON lines, from a file or a URL.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Final, Literal
from urllib.error import HTTPError
from urllib.parse import quote

from movierec.cli import http_client
from movierec.errors import ConfigError, UnavailableError

Kind = Literal["movie", "user"]

BULK: Final = 200
"""Ids per bulk request."""

_TIMEOUT_S: Final = 30.0
# The site answers a thousand requests a second here; more threads than this only queue there.
_THREADS: Final = 16

_NEXT_STEP: Final = "is the site up?"


def export(source: str) -> Iterator[bytes]:
    """Yield the lines of a file or URL. Raises ConfigError and UnavailableError."""
    with ExitStack() as stack:
        try:
            if source.startswith(("http://", "https://")):
                yield from stack.enter_context(_opened(source))
            else:
                yield from stack.enter_context(Path(source).open("rb"))
        except HTTPError as exc:
            raise UnavailableError(
                f"{source}: answered {exc.code}; is it the export's URL?"
            ) from exc
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else exc
            raise ConfigError(f"{source}: {reason}; name a file or URL of JSON lines") from exc


def ask(url: str, kind: Kind, ids: Sequence[str], *, bulk: bool) -> Iterator[list[bytes]]:
    """Yield the site's answers for ids in batches of JSON lines. Raises UnavailableError.

    Without `bulk` each id is a request of its own, as older sites need.
    """
    size = BULK if bulk else 1
    parts = [ids[i : i + size] for i in range(0, len(ids), size)]
    with ThreadPoolExecutor(_THREADS) as pool:
        yield from pool.map(lambda part: _answers(f"{url}/{kind}/", part), parts)


def takes_bulk(url: str, kind: Kind, two_ids: Sequence[str]) -> bool:
    """Return whether the site supports bulk requests, tried with two ids."""
    try:
        return isinstance(json.loads(_get(f"{url}/{kind}/{_joined(two_ids)}")), list)
    except ValueError:
        return False


def _answers(prefix: str, ids: Sequence[str]) -> list[bytes]:
    body = _get(prefix + _joined(ids))
    if len(ids) == 1:
        return [body]
    return [json.dumps(answer).encode() for answer in json.loads(body)]


def _joined(ids: Sequence[str]) -> str:
    return ",".join(quote(one, safe="+") for one in ids)


def _get(url: str) -> bytes:
    try:
        with _opened(url) as answer:
            body: bytes = answer.read()
    except HTTPError as exc:
        # An unknown id is an answer, whatever status a site gives it.
        if exc.code == 404:  # noqa: PLR2004  HTTP's Not Found
            return exc.read()
        raise UnavailableError(f"{url}: the site answered {exc.code}; try again later") from exc
    return body


def _opened(url: str) -> AbstractContextManager[Any]:
    return http_client.opened(url, timeout_s=_TIMEOUT_S, next_step=_NEXT_STEP)
