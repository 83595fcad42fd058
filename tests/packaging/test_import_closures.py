"""What each Lambda ships of the library: what its own imports reach, and nothing else."""

import os
import zipfile

import pytest

from movierec.stack.packaging import lambda_packages
from movierec.stack.packaging.package_files import below, library_files
from tests.packaging.toy_checkout import FUNCTIONS, PROJECT

GROUND = {"aws", "errors", "metrics", "model", "ports", "settings"}
RELEASING = GROUND | {"api_contract", "parameters", "releases", "runtime"}

# What each Lambda ships of the library: packages and top modules. What grows here is shipped,
# started and, of the API, a new release identity at each of its changes.
PACKAGES = {
    "build_dataset": RELEASING - {"releases"} | {"lake", "provenance", "quality", "reports"},
    "evaluate_online": RELEASING - {"api_contract"} | {"lake"},
    "lake_maintenance": GROUND - {"model"} | {"lake", "runtime"},
    "notify": RELEASING,
    "refresh": RELEASING - {"api_contract"} | {"lake", "taste"},
    "rollback": RELEASING,
    "rollout": RELEASING | {"reports"},
    "train_als": GROUND | {"parameters", "reports", "runtime", "taste"},
    "vendor": GROUND | {"api_contract"},
}

# Unzipped, in MB: measured, and a tenth more. Nearly all of it is numpy, pandas and Delta Lake.
MOST_MB = {
    "build_dataset": 255,
    "evaluate_online": 255,
    "lake_maintenance": 220,
    "notify": 60,
    "refresh": 220,
    "rollback": 60,
    "rollout": 60,
    "train_als": 217,
    "vendor": 60,
}

# The library's share, in kB with its bytecode: measured, and a fifth more.
MOST_KB = {
    "build_dataset": 600,
    "evaluate_online": 482,
    "lake_maintenance": 180,
    "notify": 340,
    "refresh": 870,
    "rollback": 410,
    "rollout": 550,
    "train_als": 990,
    "vendor": 194,
}


def library_in(built):
    """Return the library's files in a package, with their sizes."""
    if built.path.is_dir():
        found = {name: path.stat().st_size for name, path in below(built.path).items()}
    else:
        with zipfile.ZipFile(built.path) as archive:
            found = {entry.filename: entry.file_size for entry in archive.infolist()}
    return {name: size for name, size in found.items() if name.startswith("movierec/")}


def packages_in(names):
    tops = {name.split("/")[1].removesuffix(".py") for name in names}
    return tops - {"__init__", "__pycache__"}


def test_every_lambda_has_its_packages_and_sizes_written_down():
    assert PACKAGES.keys() == MOST_MB.keys() == MOST_KB.keys() == {*FUNCTIONS, "vendor"}


def test_a_function_ships_the_packages_that_it_imports(built):
    assert packages_in(library_in(built)) == PACKAGES[built.name]


def test_the_api_ships_the_packages_that_it_imports(vendor):
    assert packages_in(library_in(vendor)) == PACKAGES["vendor"]


def test_a_function_is_no_larger_than_it_was(built):
    assert built.unzipped_bytes <= MOST_MB[built.name] * 1e6
    assert sum(library_in(built).values()) <= MOST_KB[built.name] * 1e3


def test_the_api_is_no_larger_than_it_was(vendor):
    assert vendor.unzipped_bytes <= MOST_MB["vendor"] * 1e6
    assert sum(library_in(vendor).values()) <= MOST_KB["vendor"] * 1e3


def test_the_rollbacks_package_has_no_pages_and_no_charts(env):
    built = lambda_packages.build_function(PROJECT, env, "rollback")

    drawing = [name for name in library_in(built) if "report" in name or "chart" in name]
    assert drawing == []


# On a small checkout.


def write(root, **modules):
    for name, text in modules.items():
        path = root / "src" / "movierec" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        (path.parent / "__init__.py").touch()


@pytest.fixture
def reached(tmp_path):
    """Return a function: the modules that a file with this text reaches."""
    write(
        tmp_path,
        settings="",
        lake__schema="from movierec import settings\n",
        lake__queries="",
        model__ranking="def rank():\n    from movierec.lake import schema\n    return schema\n",
        model__dataset="from . import ranking\n",
        model__broken="def (:\n",
    )

    def find(text):
        file = tmp_path / "handler.py"
        file.write_text(text, encoding="utf-8")
        found = library_files(tmp_path, {"functions/f/handler.py": file})
        return {name for name in found if not name.endswith("__init__.py")}

    return find


@pytest.mark.parametrize(
    "text",
    [
        "import movierec.settings\n",
        "import movierec.settings as s\n",
        "from movierec import settings\n",
        "from movierec.settings import require, TOPIC\n",
        "def f():\n    try:\n        from movierec import settings\n    finally:\n        pass\n",
    ],
)
def test_every_form_of_an_import_counts_wherever_it_stands(reached, text):
    assert reached(text) == {"movierec/settings.py"}


def test_what_is_reached_is_followed(reached):
    modules = ("lake/schema", "model/dataset", "model/ranking", "settings")

    assert reached("from movierec.model.dataset import x\n") == {
        f"movierec/{module}.py" for module in modules
    }


@pytest.mark.parametrize("text", ["", "import os, json\nfrom pathlib import Path\n", "x = (\n"])
def test_without_an_import_of_the_library_nothing_is_reached(reached, text):
    assert reached(text) == set()


def test_a_module_that_does_not_parse_is_shipped_for_the_compiler_to_refuse(reached):
    assert reached("import movierec.model.broken\n") == {"movierec/model/broken.py"}


def test_a_package_is_shipped_with_what_python_runs_on_the_way_to_a_module(checkout):
    app = checkout.root / "chalice_app" / "app.py"

    assert set(library_files(checkout.root, {"app.py": app})) == {
        "movierec/__init__.py",
        "movierec/model/__init__.py",
        "movierec/model/ranking.py",
    }


@pytest.mark.parametrize("changed", ["reports/page.py", "cli/main.py", "model/new.py"])
def test_a_change_of_what_nothing_imports_builds_nothing(checkout, env, changed):
    def build(env):
        function = lambda_packages.build_function(checkout, env, "echo")
        return function, lambda_packages.build_vendor(checkout, env)

    first = build(env)
    (checkout.root / "src/movierec" / changed).write_text("COLOUR = 2\n", encoding="utf-8")

    assert build({"PATH": os.devnull}) == first  # where nothing could be built


def test_a_change_of_what_the_api_imports_is_another_package(checkout, env):
    first = lambda_packages.build_vendor(checkout, env)
    ranking = checkout.root / "src/movierec/model/ranking.py"
    ranking.write_text("x = 2\n", encoding="utf-8")

    second = lambda_packages.build_vendor(checkout, env)

    assert second.sha256 != first.sha256
    assert (second.path / "movierec/model/ranking.py").read_text(encoding="utf-8") == "x = 2\n"


def test_a_page_that_the_api_begins_to_import_is_shipped(checkout, env):
    lambda_packages.build_vendor(checkout, env)
    with (checkout.root / "chalice_app/app.py").open("a", encoding="utf-8") as app:
        app.write("from movierec.reports import page\n")

    vendor = lambda_packages.build_vendor(checkout, env)

    assert packages_in(library_in(vendor)) == {"model", "reports"}
