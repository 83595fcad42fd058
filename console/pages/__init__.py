"""The console's pages: every module here has one `PAGE`; there is no list of them."""

import importlib
import pkgutil

from console.page import Page


def found() -> tuple[Page, ...]:
    """Return all pages, in their order."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return tuple(sorted((module.PAGE for module in modules), key=lambda page: page.order))
