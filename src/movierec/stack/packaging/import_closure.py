"""Import closure: the modules of the library that a deployable's code reaches.

Read from the code itself, so that no list has to be kept: every import statement counts, one inside
a function too. Modules are taken singly. Taken by whole packages, one page for people would bring
all of `movierec.releases` into a function that only trains; see docs/adr/0010.
"""

import ast
import functools
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path
from typing import Final

from movierec.stack.packaging.package_files import Files

_LIBRARY: Final = "movierec"


def library_files(root: Path, deployable: Files) -> Files:
    """Return the modules of the checkout's library that the files of a deployable reach.

    Each comes with the `__init__` of its packages, which Python runs as well.
    """
    found: dict[str, Path] = {}
    pending = list(deployable.items())
    while pending:
        place, path = pending.pop()
        if not place.endswith(".py"):
            continue
        package = place.rpartition("/")[0].replace("/", ".")
        for name in _imported(path.read_bytes(), package):
            reached = {p: root / "src" / p for p in _places(name) if p not in found}
            there = {p: file for p, file in reached.items() if file.is_file()}
            found |= there
            pending += there.items()
    return found


@functools.lru_cache(maxsize=1024)
def _imported(source: bytes, package: str) -> frozenset[str]:
    """Return what of the library a module imports: modules, and names that may be modules."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # compiling it says what is wrong with it
        return frozenset()
    names = (name for node in ast.walk(tree) for name in _names(node, package))
    return frozenset(name for name in names if name.split(".")[0] == _LIBRARY)


def _names(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = resolve_name("." * node.level + (node.module or ""), package)
        yield from (f"{module}.{alias.name}" for alias in node.names)


def _places(name: str) -> Iterator[str]:
    """Yield where the module of a dotted name and the packages above it may be."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        place = "/".join(parts[:count])
        yield f"{place}.py"
        yield f"{place}/__init__.py"
