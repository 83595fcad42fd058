"""HTTP client of the recommendation API."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from yarl import URL

from movierec.api_contract import POPULAR_PATH, RECOMMEND_PATH
from movierec.errors import ConfigError
from proxy.answers import MAX_BODY_BYTES, Answer, UpstreamError, parse_answer
from proxy.routes import BAD_USER_ID, ErrorResponse

# Longer than the pause between two polls, so that a connection stays open between requests; API
# Gateway and most servers close after 60 s or more. A connection closed under a request is
# replaced, once, by the client itself: GET may be repeated.
_KEEP_ALIVE_S: Final = 45.0

# Callers have a far shorter deadline; this one ends abandoned calls. API Gateway gives up after
# 29 s: past it the peer is gone without closing the connection.
_CALL_TIMEOUT_S: Final = 30.0

# A header that is too long would fail the whole answer: it is read, and left out of the record.
_MAX_HEADER_BYTES: Final = 65_536

_OK: Final = 200
_BAD_REQUEST: Final = 400
_REFUSAL_CHARS: Final = 300


class HttpApi:
    """`proxy.answers.Api` over HTTP. Deadlines are the caller's."""

    def __init__(self, url: str, session: aiohttp.ClientSession, new_id: Callable[[], str]) -> None:
        self._url = url
        self._session = session
        self._new_id = new_id

    async def recommend(self, user_id: int) -> Answer | ErrorResponse:
        """Return the API's answer for a user, its 400 as an ErrorResponse. Raises UpstreamError."""
        status, headers, body = await self._get(f"{RECOMMEND_PATH}{user_id}")
        if status == _BAD_REQUEST:
            return _error_response(body)
        return self._answer(status, headers, body)

    async def popular(self) -> Answer:
        """Return the popular list that everybody may see. Raises UpstreamError."""
        return self._answer(*await self._get(POPULAR_PATH))

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        if status != _OK:
            raise UpstreamError("status", f"the API answered {status}: {body[:120]!r}")
        return parse_answer(headers, body, new_id=self._new_id)

    async def _get(self, path: str) -> tuple[int, Mapping[str, str], bytes]:
        url = URL(self._url + path, encoded=True)
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                return response.status, response.headers, await _read(response)
        except (aiohttp.ClientConnectionError, OSError) as exc:
            raise UpstreamError(
                "connect", f"{self._url}: {str(exc) or type(exc).__name__}"
            ) from exc
        except aiohttp.ClientError as exc:
            raise UpstreamError(
                "malformed", f"{self._url}: {str(exc) or type(exc).__name__}"
            ) from exc


@asynccontextmanager
async def connect(url: str, new_id: Callable[[], str]) -> AsyncIterator[HttpApi]:
    """Open a connection pool to the API. Raises ConfigError for an invalid URL."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=_CALL_TIMEOUT_S, sock_connect=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity", "User-Agent": "movierec-proxy"},
        auto_decompress=False,
        max_field_size=_MAX_HEADER_BYTES,
    ) as session:
        yield HttpApi(validate_url(url), session, new_id)


def validate_url(text: str) -> str:
    """Return the API's URL without a trailing slash. Raises ConfigError for an invalid one."""
    try:
        url = URL(text)
    except ValueError as exc:
        raise ConfigError(f"the API's URL {text!r} is none: {exc}") from exc
    if url.scheme not in ("http", "https") or not url.host or url.query_string or url.fragment:
        raise ConfigError(
            f"the API's URL {text!r} is none: expected such as http://localhost:4566/path, "
            "from `--api-url` or MOVIEREC_API_URL"
        )
    return str(url).rstrip("/")


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise UpstreamError("malformed", f"the API's body is past {MAX_BODY_BYTES} bytes")
    return body


def _error_response(body: bytes) -> ErrorResponse:
    text = body[:_REFUSAL_CHARS].decode(errors="replace").strip()
    return ErrorResponse(
        _BAD_REQUEST, text.splitlines()[0] if text.isprintable() and text else BAD_USER_ID.line
    )
