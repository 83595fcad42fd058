"""Templates and static files, read once at the start."""

import hashlib
import logging
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from console import formats
from console.page import WINDOWS, Page, Panel, Query
from console.reading import FAULT, Found

_log = logging.getLogger(__name__)

_HERE: Final = Path(__file__).parent

STATIC_PATH: Final = "/static/"
PANELS_PATH: Final = "/panels/"


@dataclass(frozen=True, slots=True)
class Static:
    """A static file."""

    body: bytes
    content_type: str

    @property
    def tag(self) -> str:
        """A name of the content, for the address: so that browsers may keep it for ever."""
        return hashlib.sha256(self.body).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Files:
    """The console's templates and static files, by name."""

    templates: Mapping[str, str]
    static: Mapping[str, Static]

    @classmethod
    def load(cls, folder: Path = _HERE) -> Self:
        """Read them from the console's folder."""
        templates = folder / "templates"
        return cls(
            {path.name: path.read_text(encoding="utf-8") for path in templates.glob("*.html")},
            {
                str(path.relative_to(folder / "static")): Static(path.read_bytes(), _type_of(path))
                for path in (folder / "static").rglob("*")
                if path.suffix in _SERVED
            },
        )


_SERVED: Final = {".js", ".css", ".svg"}


def _type_of(path: Path) -> str:
    found = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"{found}; charset=utf-8"


class Renderer:
    """Renders pages and panels as HTML."""

    def __init__(self, files: Files) -> None:
        self._static = files.static
        self._environment = Environment(
            loader=DictLoader(dict(files.templates)),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(formats.FILTERS)
        self._environment.globals |= {
            "static": self._address,
            "shares": formats.shares,
            "ago": formats.ago,
            "windows": tuple(WINDOWS),
        }

    def panel(
        self, page: Page, panel: Panel, query: Query, found: Found | None, form: Mapping[str, Any]
    ) -> Markup:
        """Return a panel with what was found; None: it is still being read.

        `form` has what forms need: `csrf`, and `operate`.
        """
        body = Markup()
        if found is not None and not found.failure:
            try:
                body = self._body(page, panel, query, found, form)
            except Exception:  # noqa: BLE001  a panel fails by itself
                _log.exception("panel_not_rendered", extra={"page": page.name, "panel": panel.name})
                found = Found(failure=FAULT)
        shell: Any = self._environment.get_template("panel.html").module
        return Markup(  # noqa: S704  what a template escaped
            shell.panel(
                panel,
                found,
                body,
                address=query.address(f"{PANELS_PATH}{page.name}/{panel.name}"),
                now=query.now,
            )
        )

    def _body(
        self, page: Page, panel: Panel, query: Query, found: Found, form: Mapping[str, Any]
    ) -> Markup:
        template = self._environment.get_template(f"{page.name}.html")
        module = template.make_module({"query": query, "now": query.now, **form})
        body: Markup = getattr(module, panel.name)(found.value)
        return body

    def page(self, name: str, **context: Any) -> str:  # noqa: ANN401  a template's
        """Return a whole page of a template."""
        return self._environment.get_template(name).render(**context)

    def _address(self, name: str) -> str:
        return f"{STATIC_PATH}{name}?{self._static[name].tag}"
