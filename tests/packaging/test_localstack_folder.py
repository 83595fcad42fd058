"""The emulator's folder hides nothing of the installed LocalStack.

`localstack` on PyPI is a namespace package without `__init__.py`: a folder of that name on
`sys.path` adds to it, and a module or package in it that has an upstream name hides that one.
"""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "localstack"

UPSTREAM_MODULES = (
    "aws",
    "cli",
    "config",
    "constants",
    "deprecations",
    "dev",
    "dns",
    "extensions",
    "http",
    "logging",
    "packages",
    "plugins",
    "runtime",
    "services",
    "state",
    "testing",
    "utils",
    "version",
)


def test_the_folder_is_there() -> None:
    assert (FOLDER / "requirements.txt").exists()


def test_it_is_no_package_and_holds_no_module() -> None:
    assert sorted(path.name for path in FOLDER.glob("*.py")) == []


# The environment of Lambda's runtime: two lists of requirements and no Python, which hides nothing.
WITHOUT_PYTHON = "runtime"


@pytest.mark.parametrize("name", [name for name in UPSTREAM_MODULES if name != WITHOUT_PYTHON])
def test_no_child_has_an_upstream_modules_name(name: str) -> None:
    assert not (FOLDER / name).exists()


def test_the_one_child_that_has_one_holds_no_python() -> None:
    """Without `__init__.py` it never wins over the installed package, wherever our root is."""
    found = {path.name for path in (FOLDER / WITHOUT_PYTHON).iterdir()} - {".venv"}
    assert found == {"requirements.in", "requirements.txt"}


def test_the_installed_package_wins_with_our_root_first(tmp_path: Path) -> None:
    """Python's own rule, on a stand-in for the installed LocalStack."""
    installed = tmp_path / "localstack" / WITHOUT_PYTHON
    installed.mkdir(parents=True)
    (installed / "__init__.py").touch()
    code = f"import localstack.{WITHOUT_PYTHON} as found; print(found.__file__)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": f"{FOLDER.parent}:{tmp_path}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(done.stdout.strip()) == installed / "__init__.py"
