"""What a page is: panels that are read and refreshed each by itself, and actions.

A page is a module of `console.pages` with one `PAGE`, and a template with one macro for each panel,
named like it and called with what the panel's `read` returned. Nothing else names a page.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import urlencode

from console.system import System
from movierec.errors import UsageError
from movierec.lake.activity import Window

WINDOWS: Final[Mapping[str, timedelta]] = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
}
"""The time spans that a page can show."""

DEFAULT_WINDOW: Final = "1h"

# What the site logged a moment ago is not in the lake yet; a window in whole minutes also has every
# request in the same minute ask the lake the same question.
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked of a page: its parameters, as in the address."""

    given: Mapping[str, str]
    now: datetime

    def text(self, name: str) -> str:
        """Return a parameter without the spaces around it, "" if it was not given."""
        return self.given.get(name, "").strip()

    def number(self, name: str) -> int | None:
        """Return a parameter as a positive number, None without it. Raises UsageError."""
        text = self.text(name)
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and int(text)):
            raise UsageError(f"{name} {text!r} is no id: expected a positive number")
        return int(text)

    @property
    def window_name(self) -> str:
        """The chosen time span's name."""
        return name if (name := self.text("window")) in WINDOWS else DEFAULT_WINDOW

    @property
    def window(self) -> Window:
        """The chosen time span, until the end of this minute."""
        until = self.now.replace(second=0, microsecond=0) + _MINUTE
        return Window(until - WINDOWS[self.window_name], until)

    def address(self, path: str, **changed: str) -> str:
        """Return a path with these parameters, some changed; an empty one is left out."""
        asked = {name: value for name, value in {**self.given, **changed}.items() if value}
        return f"{path}?{urlencode(asked)}" if asked else path


# Delta's int64 has nineteen; the largest id that can be set has eighteen.
_MOST_DIGITS: Final = 18


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a page that is read, refreshed and fails by itself.

    `read` runs in a thread, and may raise MovierecError, whose message says what to do. What it
    returns is kept for `fresh_s`.
    """

    name: str
    title: str
    read: Callable[[System, Query], Any]
    link: str = ""
    """The page that says more."""
    span: Literal[1, 2, 3] = 1
    """Columns that it takes; 3 are all of them."""
    refresh_s: int = 10
    """Time between two readings by a browser that shows it; 0: once."""
    fresh_s: float = 4.0


@dataclass(frozen=True, slots=True)
class Action:
    """A change that a form asks for; only a console that operates has them.

    `run` gets the form's fields, and returns what was done. ReleaseError means that the present
    state does not allow it.
    """

    name: str
    run: Callable[[System, Mapping[str, str]], str]


@dataclass(frozen=True, slots=True)
class Document:
    """A stored HTML report that a page links to: at `/documents/<page>/<name>/<id>`.

    `read` may raise ObjectNotFoundError.
    """

    name: str
    read: Callable[[System, str], bytes]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the console; pages are listed by `order`."""

    name: str
    title: str
    summary: str
    order: int
    panels: tuple[Panel, ...]
    actions: tuple[Action, ...] = ()
    documents: tuple[Document, ...] = ()
    windowed: bool = False
    """Whether a time span can be chosen."""
    parameters: tuple[str, ...] = field(default=())
    """Those of the address that its panels read, besides the time span."""

    @property
    def path(self) -> str:
        """The page's address: the first one's is the root."""
        return "/" if self.order == 0 else f"/{self.name}"

    def panel(self, name: str) -> Panel | None:
        """Return a panel by name, None without one."""
        return next((panel for panel in self.panels if panel.name == name), None)

    def asked(self, given: Mapping[str, str], now: datetime) -> Query:
        """Return the query of an address: the parameters that the page knows, others are left."""
        known = (*self.parameters, *(("window",) if self.windowed else ()))
        return Query({name: given[name] for name in known if given.get(name)}, now)
