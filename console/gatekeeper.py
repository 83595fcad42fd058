"""ASGI middleware before every request: host, session, token; and headers after it."""

from collections.abc import Iterable
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console import access as accesses
from console.access import HEADERS, SESSION_COOKIE, Access

# What a browser without the token may ask for.
_OPEN: Final = ("/sign-in", "/static/", "/healthz")


class Gatekeeper:
    """Refuses foreign hosts and strangers, and gives each browser a session."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an HTTP request; the start and end of the server are let through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        cookies = accesses.cookies_in(request.headers.get("cookie", ""))
        session = cookies.get(SESSION_COOKIE, "")
        new = "" if session else accesses.new_session()
        request.state.session = session or new
        send = _with_headers(send, _cookies(new))
        answer = self._refusal(request, cookies)
        await (answer or self._app)(scope, receive, send)

    def _refusal(self, request: Request, cookies: dict[str, str]) -> Response | None:
        host = request.headers.get("host", "")
        if not self._access.knows_host(host):
            return PlainTextResponse(
                f"{host!r} is no name of this machine's loopback: use 127.0.0.1 or localhost\n", 421
            )
        if request.method == "POST" and _is_foreign(request, host):
            return PlainTextResponse("forms of other sites are not taken\n", 403)
        if self._access.admits(cookies) or request.url.path.startswith(_OPEN):
            return None
        if "hx-request" in request.headers:
            return PlainTextResponse("sign in first\n", 401, {"hx-redirect": "/sign-in"})
        return RedirectResponse("/sign-in", status_code=303)


def _is_foreign(request: Request, host: str) -> bool:
    """Return whether a browser says that a form is of another origin."""
    origin = request.headers.get("origin", "")
    site = request.headers.get("sec-fetch-site", "same-origin")
    return site not in ("same-origin", "none") or (
        origin != "" and not origin.endswith(f"//{host}")
    )


def _cookies(session: str) -> Iterable[tuple[bytes, bytes]]:
    if session:
        yield b"set-cookie", accesses.cookie(SESSION_COOKIE, session).encode()


def _with_headers(send: Send, cookies: Iterable[tuple[bytes, bytes]]) -> Send:
    async def answered(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = list(message["headers"])
            names = {name for name, _ in given}
            ours = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
            given += [(name, value) for name, value in ours if name not in names]
            if b"cache-control" not in names:
                given.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*given, *cookies]}
        await send(message)

    return answered
