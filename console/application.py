"""The console as an ASGI application: pages, panels, forms."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from console import access as accesses
from console.access import ACCESS_COOKIE, Access
from console.gatekeeper import Gatekeeper
from console.page import Action, Page, Panel, Query
from console.reading import Found, Readings
from console.rendering import PANELS_PATH, STATIC_PATH, Files, Renderer
from console.system import System
from movierec.errors import (
    MovierecError,
    ObjectNotFoundError,
    ReleaseError,
    UnavailableError,
    UsageError,
)

_log = logging.getLogger(__name__)

# A page waits this long for its panels; those that take longer come when they are ready, so that
# the rest is there within two seconds.
_PAGE_WAITS_S: Final = 1.2

# A form has a reason of a sentence, and some names.
_LARGEST_FORM_BYTES: Final = 16 * 1024

_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")

# A report has its styles within, and needs nothing else.
_DOCUMENT_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Console:
    """Everything that answers are made from."""

    system: System
    pages: Sequence[Page]
    files: Files
    access: Access
    renderer: Renderer
    readings: Readings
    operate: bool = False

    # Pages ------------------------------------------------------------------------------

    async def page(
        self, page: Page, request: Request, *, said: str = "", status: int = 200
    ) -> Response:
        """Answer with a page and those of its panels that are ready in time."""
        query = page.asked(request.query_params, self.system.clock.now())
        found = await asyncio.gather(
            *(self._read(page, panel, query, within_s=_PAGE_WAITS_S) for panel in page.panels)
        )
        form = self._form(request)
        shown = [
            self.renderer.panel(page, panel, query, each, form)
            for panel, each in zip(page.panels, found, strict=True)
        ]
        return self._html(
            "page.html", request, status, page=page, query=query, panels=shown, said=said
        )

    async def panel(self, request: Request) -> Response:
        """Answer with one panel, as a page's script asks for it."""
        page = self._page_named(request.path_params["page"])
        panel = page.panel(request.path_params["panel"])
        if panel is None:
            raise HTTPException(404)
        query = page.asked(request.query_params, self.system.clock.now())
        found = await self._read(page, panel, query)
        return HTMLResponse(self.renderer.panel(page, panel, query, found, self._form(request)))

    async def document(self, request: Request) -> Response:
        """Answer with a stored report, which runs no script and belongs to no origin."""
        page, name = self._page_named(request.path_params["page"]), request.path_params["name"]
        document = next((each for each in page.documents if each.name == name), None)
        wanted = request.path_params["id"]
        if document is None or not _ID.fullmatch(wanted):
            raise HTTPException(404)
        loop = asyncio.get_running_loop()
        try:
            body = await loop.run_in_executor(
                self.readings.executor, document.read, self.system, wanted
            )
        except ObjectNotFoundError as exc:
            raise HTTPException(404) from exc
        except MovierecError as exc:
            raise HTTPException(502, str(exc)) from exc
        return HTMLResponse(body, headers={"content-security-policy": _DOCUMENT_POLICY})

    async def act(self, request: Request) -> Response:
        """Carry out a form's action: 303 to its page, or 409 with the present state."""
        page = self._page_named(request.path_params["page"])
        action = next((a for a in page.actions if a.name == request.path_params["action"]), None)
        if action is None:
            raise HTTPException(404)
        fields = await self._fields(request)
        if not self.operate:
            return self._refuse(request, 403, "This console is read-only: start it with --operate.")
        return await self._carry_out(page, action, fields, request)

    async def _carry_out(
        self, page: Page, action: Action, fields: Mapping[str, str], request: Request
    ) -> Response:
        loop = asyncio.get_running_loop()
        _log.info("action_asked", extra={"action": action.name, "fields": _logged(fields)})
        try:
            done = await loop.run_in_executor(
                self.readings.executor, action.run, self.system, fields
            )
        except (ReleaseError, UsageError) as exc:
            self.readings.forget()
            said = f"Not done: {exc}. Below is the present state."
            return await self.page(page, request, said=said, status=409)
        except UnavailableError as exc:
            return await self.page(
                page, request, said=f"Not known whether it was done: {exc}", status=503
            )
        except MovierecError as exc:
            return await self.page(page, request, said=f"It failed: {exc}", status=502)
        self.readings.forget()
        _log.info("action_done", extra={"action": action.name, "outcome": done})
        said = urlencode({"done": done, "by": self.access.signature(done)})
        return RedirectResponse(f"{page.path}?{said}", status_code=303)

    async def _read(
        self, page: Page, panel: Panel, query: Query, *, within_s: float | None = None
    ) -> Found | None:
        key = (page.name, panel.name, tuple(sorted(query.given.items())))
        return await self.readings.read(
            key, lambda: panel.read(self.system, query), fresh_s=panel.fresh_s, within_s=within_s
        )

    def _page_named(self, name: str) -> Page:
        for page in self.pages:
            if page.name == name:
                return page
        raise HTTPException(404)

    # Sessions ---------------------------------------------------------------------------

    async def sign_in(self, request: Request) -> Response:
        """Answer with the form for the token, or take it."""
        if request.method == "GET":
            return self._html("sign_in.html", request, 200, wrong=False)
        fields = await self._fields(request)
        if not self.access.accepts(fields.get("token", "")):
            _log.warning("token_refused")
            return self._html("sign_in.html", request, 403, wrong=True)
        answer = RedirectResponse("/", status_code=303)
        passed = self.access.pass_for(request.state.session)
        answer.headers.append("set-cookie", accesses.cookie(ACCESS_COOKIE, passed))
        return answer

    async def _fields(self, request: Request) -> dict[str, str]:
        """Return a form's fields. Raises HTTPException without this session's CSRF token."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LARGEST_FORM_BYTES:
                raise HTTPException(413, "a form of this size is none of the console's")
        fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        if not self.access.allows_form(request.state.session, fields.pop("csrf", "")):
            raise HTTPException(403, "the form is of another session: load its page again")
        return fields

    def _form(self, request: Request) -> dict[str, Any]:
        return {"csrf": self.access.csrf_for(request.state.session), "operate": self.operate}

    # Answers ----------------------------------------------------------------------------

    async def static(self, request: Request) -> Response:
        """Answer with a static file; its address changes with its content."""
        file = self.files.static.get(request.path_params["name"])
        if file is None:
            raise HTTPException(404)
        kept = "public, max-age=31536000, immutable"
        return Response(file.body, headers={"cache-control": kept}, media_type=file.content_type)

    async def failed(self, request: Request, exc: Exception) -> Response:
        """Answer with what is wrong with a request."""
        assert isinstance(exc, HTTPException)  # noqa: S101  the only kind that is registered
        return self._refuse(request, exc.status_code, str(exc.detail))

    def _refuse(self, request: Request, status: int, why: str) -> Response:
        return self._html("refused.html", request, status, why=why)

    def _html(self, template: str, request: Request, status: int, **context: Any) -> Response:  # noqa: ANN401
        given: dict[str, Any] = {"page": None, "said": "", **self._form(request), **context}
        text = self.renderer.page(
            template, pages=self.pages, now=self.system.clock.now(), status=status, **given
        )
        return HTMLResponse(text, status)


def _logged(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: value[:200] for name, value in fields.items()}


def create(
    system: System,
    pages: Sequence[Page],
    files: Files,
    executor: Executor,
    *,
    access: Access | None = None,
    operate: bool = False,
) -> Gatekeeper:
    """Return the application. Reads run in `executor`."""
    rules = access or Access()
    console = Console(
        system, pages, files, rules, Renderer(files), Readings(executor), operate=operate
    )
    routes = [
        *(Route(page.path, _page_handler(console, page)) for page in pages),
        Route(f"{PANELS_PATH}{{page}}/{{panel}}", console.panel),
        Route("/documents/{page}/{name}/{id}", console.document),
        Route("/actions/{page}/{action}", console.act, methods=["POST"]),
        Route("/sign-in", console.sign_in, methods=["GET", "POST"]),
        Route(f"{STATIC_PATH}{{name:path}}", console.static),
        Route("/healthz", _healthy),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: console.failed})
    return Gatekeeper(app, rules)


def _page_handler(console: Console, page: Page) -> Handler:
    async def answer(request: Request) -> Response:
        said = request.query_params.get("done", "")
        ours = console.access.signed(said, request.query_params.get("by", ""))
        return await console.page(page, request, said=said if ours else "")

    return answer


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok\n")
