"""The plan of the library: which packages there are, held by import-linter and by this test."""

import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "src" / "movierec"

PRODUCT = ("src", "functions", "ingest_worker", "chalice_app", "proxy", "simulator", "console")

# Names that stand for one role, whichever package plays it.
ROLES = {"__init__", "__main__", "catalog", "handler", "ports", "settings"}

# What every package speaks of; anything else belongs into one of the packages.
TOP_MODULES = {"api_contract", "errors", "metrics", "parameters", "ports", "settings"}


def contract(name):
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = config["tool"]["importlinter"]["contracts"]
    (found,) = [c for c in contracts if c["name"] == name]
    return found


def test_no_module_stands_at_the_top_beside_those_of_the_plan():
    modules = {path.stem for path in LIBRARY.glob("*.py")} - {"__init__"}
    assert modules <= TOP_MODULES


def test_a_module_name_stands_for_one_thing():
    """Two modules share a name only where they play the same role in their packages."""
    found = Counter(
        path.stem
        for folder in PRODUCT
        for path in (ROOT / folder).rglob("*.py")
        if "vendor" not in path.parts
    )
    assert {name for name, count in found.items() if count > 1} <= ROLES


def test_each_package_of_the_library_has_its_layer():
    layers = contract("each package imports only what lies below it")
    assert layers["exhaustive"]
    named = {name for layer in layers["layers"] for name in layer.replace("|", ":").split(":")}
    packages = {path.parent.name for path in LIBRARY.glob("*/__init__.py")}
    assert packages | TOP_MODULES == {name.strip(" ()") for name in named}


def test_the_pure_packages_are_all_but_those_that_open_a_service():
    pure = contract("the pure library needs numpy alone")["source_modules"]
    packages = {path.parent.name for path in LIBRARY.glob("*/__init__.py")}
    expected = (packages | {path.stem for path in LIBRARY.glob("*.py")}) - {"__init__"}
    assert set(pure) == {
        f"movierec.{name}" for name in expected - {"aws", "kafka", "site", "stack", "cli"}
    }
