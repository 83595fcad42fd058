"""Lambda packages: the same bytes from the same inputs, and nothing to do when they are there.

A function's zip holds its locked requirements, its own folder under its own path, and of the
library the modules that it imports. The API's `vendor/` holds the same for Chalice, which makes its
zip itself. Both are keyed by a hash of what they are made from, kept in
`build/packages/<name>.json` beside sizes and checksum; a build that finds its key there does
nothing.

The requirements are the slow part (60 MB to compress), so they are packed once for each lock file
into `build/packages/cache/`, and a change of code appends to a copy of that.

Two commands may build at the same time: each package has a lock in `build/packages/locks/`, and
gets a name of its own in the folder of the run that it is for.

Sizes and the traps of trimming were measured; the limit is AWS's:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

import argparse
import fcntl
import functools
import os
import re
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from movierec.errors import ConfigError, MovierecError, UnavailableError
from movierec.stack import run_record
from movierec.stack.layout import Project, find_project
from movierec.stack.packaging import elf, package_files
from movierec.stack.packaging.package_files import Built, measured, recorded, write_down
from movierec.stack.processes import child_environment
from movierec.stack.processes.spec import Spec, Stream, unsupervised

LIMIT_BYTES: Final = 262_144_000
"""What AWS allows a function's code and layers together, unzipped."""

# Python 3.13's runtime is Amazon Linux 2023 with glibc 2.34. For manylinux2014, which uv assumes,
# today's numpy and scipy have no wheels.
_PLATFORM: Final = ("--python-platform", "x86_64-manylinux_2_28", "--python-version", "3.13")

# implicit links against libgomp.so.1, which Lambda's image may lack, and ships none. This wheel
# carries one that needs no more than glibc 2.17, pinned by its hash; the rest of it stays out.
_LIBGOMP: Final = re.compile(r"pykdtree\.libs/libgomp-[0-9a-f]+\.so\.1\.0\.0")
_LIBGOMP_PLACE: Final = "lib/libgomp.so.1"  # /var/task/lib is on LD_LIBRARY_PATH

_LEFT_OUT: Final = re.compile(
    r"""
    (^|/)tests/                                # never imported
    | \.(pyi|pyx|pxd|h|a)$                     # for compilers and type checkers
    | ^(bin|[^/]+-stubs|pykdtree[^/]*)/ | ^\.lock$
    | \.dist-info/(?!METADATA$)                # importlib.metadata.version() reads METADATA alone
    | ^implicit/gpu/_cuda\.so$                 # 8 MB; there is no GPU
    """,
    re.VERBOSE,
)
_SHARED_LIBRARY: Final = re.compile(r"\.so(\.[0-9.]+)?$")
_LOCK: Final = re.compile(r"/requirements\.(in|txt)$")
# numpy imports this one although it lies among its tests.
_KEPT: Final = frozenset(
    {
        "numpy/_core/tests/_natype.py",
        "numpy/_core/tests/__pycache__/_natype.cpython-313.pyc",
    }
)

_VENDOR: Final = "vendor"


@dataclass(frozen=True, slots=True)
class _BuildContext:
    """Where one package is made: in which checkout, and how programs are run for it."""

    project: Project
    env: Mapping[str, str]
    stream: Stream
    name: str

    def run(self, step: str, command: tuple[str, ...], *, failed: str) -> None:
        """Run a program to its end. Raises UnavailableError, beginning with `failed`."""
        spec = Spec(f"{self.name}-{step}", command, self.env, self.project.root)
        with self.stream(spec) as program:
            said = program.stdout.read()
            code = program.wait()
        if code != 0:
            lines = [re.sub(r"^\W+", "", line) for line in said.splitlines() if line.strip()]
            why = ": ".join(lines[:2]) or f"{Path(command[0]).name} exit {code}"
            raise UnavailableError(f"{failed}: {why}; check the network and run `make setup`")


def placed(name: str) -> str | None:
    """Return the path in the package of a file of site-packages, or None to leave it out."""
    if _LIBGOMP.fullmatch(name):
        return _LIBGOMP_PLACE
    if name in _KEPT:
        return name
    return None if _LEFT_OUT.search(name) else name


def function_names(project: Project) -> tuple[str, ...]:
    """Return the functions of this checkout: folders in `functions/` that have a lock file."""
    return tuple(sorted(lock.parent.name for lock in _locks(project)))


def _locks(project: Project) -> Iterator[Path]:
    return (project.root / "functions").glob("*/requirements.txt")


def build_functions(
    project: Project,
    env: Mapping[str, str],
    *,
    stream: Stream = unsupervised,
    into: Path | None = None,
) -> tuple[Built, ...]:
    """Build every function's zip, or find it built.

    `env` is what uv sees, and `stream` runs it. Each zip is put `into` a folder as well, if one is
    named: the next build, of other code, leaves that one as it is. Raises ConfigError when uv is
    missing or a package is too large, UnavailableError when a requirement cannot be fetched.
    """
    build = functools.partial(build_function, project, env, stream=stream, into=into)
    # Side by side: compressing leaves the interpreter free, and so does uv.
    with ThreadPoolExecutor() as pool:
        built = tuple(pool.map(build, function_names(project)))
    # Packed requirements of lock files that are no more.
    used = {f"{_digest({'lock': lock})}.zip" for lock in _locks(project)}
    for cached in (_folder(project) / "cache").glob("*.zip"):
        if cached.name not in used:
            cached.unlink(missing_ok=True)
    return built


def build_function(
    project: Project,
    env: Mapping[str, str],
    name: str,
    *,
    stream: Stream = unsupervised,
    into: Path | None = None,
) -> Built:
    """Build one function's zip, `build/packages/<name>.zip`, as `build_functions` does."""
    with locked(project, name, fcntl.LOCK_EX):
        built = _build_function(_BuildContext(project, env, stream, name))
        if into is not None:
            into.mkdir(parents=True, exist_ok=True)
            place = into / built.path.name
            place.unlink(missing_ok=True)
            package_files.link(built.path, place)
            built = replace(built, path=place)
        return built


def _build_function(context: _BuildContext) -> Built:
    project, name = context.project, context.name
    lock = project.root / "functions" / name / "requirements.txt"
    code = _function_code(project.root, name)
    key = _digest({"lock": lock, **code})
    target = _folder(project) / f"{name}.zip"
    found = recorded(_folder(project), target, name, key)
    if found is not None and target.is_file() and target.stat().st_size == found.zipped_bytes:
        return found
    requirements = _packed_requirements(context, lock)
    with _scratch(project) as scratch:
        draft = Path(shutil.copyfile(requirements, scratch / target.name))
        own = scratch / "own"
        package_files.lay_out(code, own)
        _compile(context, own)
        with zipfile.ZipFile(draft, "a") as archive:
            package_files.add(archive, package_files.below(own))
        built = _checked(measured(draft, target, name, key))
        draft.replace(target)
    # Somebody who edits meanwhile gets another build, not a package that passes for the new code.
    unchanged = _digest({"lock": lock, **_function_code(project.root, name)}) == key
    return write_down(_folder(project), built) if unchanged else built


def build_vendor(
    project: Project, env: Mapping[str, str], *, stream: Stream = unsupervised
) -> Built:
    """Fill `chalice_app/vendor/`, or find it filled. Raises as `build_functions`.

    Chalice names its zip by a hash of the contents in here and puts the files' dates into it, so
    the dates are fixed.
    """
    with locked(project, _VENDOR, fcntl.LOCK_EX):
        return _build_vendor(_BuildContext(project, env, stream, _VENDOR))


def _build_vendor(context: _BuildContext) -> Built:
    project = context.project
    lock = project.root / "chalice_app" / "vendor.txt"
    target = lock.parent / _VENDOR
    library = _api_library(project.root)
    key = _digest({"lock": lock, **library})
    found = recorded(_folder(project), target, _VENDOR, key)
    there = package_files.extent(package_files.below(target))
    if found is not None and (found.files, found.unzipped_bytes) == there:
        return found
    with _scratch(project) as scratch:
        site = _installed(context, lock, scratch / "site")
        own, vendor = scratch / "own", scratch / _VENDOR
        package_files.lay_out(library, own)
        _compile(context, own)
        package_files.lay_out({**site, **package_files.below(own)}, vendor)
        if target.is_dir():  # renamed first: removed in place, it would be half there for a while
            shutil.move(target, scratch / "old")
        shutil.move(vendor, target)
    filled = package_files.below(target)
    count, size_bytes = package_files.extent(filled)
    built = Built(_VENDOR, target, key, package_files.digest(filled), 0, size_bytes, count)
    return write_down(_folder(project), _checked(built))


def _folder(project: Project) -> Path:
    return project.build / "packages"


def _digest(files: package_files.Files) -> str:
    """Return a hash of names and contents, and of this recipe."""
    recipe = {"recipe": Path(__file__), "elf": Path(elf.__file__)}
    return package_files.digest({**files, **recipe})


def locked(project: Project, name: str, operation: int) -> AbstractContextManager[None]:
    """Hold a package's lock while the block runs: LOCK_SH to read it, LOCK_EX to build it."""
    return run_record.locked(_folder(project) / "locks" / name, operation)


@contextmanager
def _scratch(project: Project) -> Iterator[Path]:
    # Beside the results, so that they can be renamed into place.
    folder = _folder(project)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".building-") as scratch:
        yield Path(scratch)


def _compile(context: _BuildContext, folder: Path) -> None:
    """Compile every module under a folder: Lambda never writes bytecode, and pays at each start.

    By hash and never checked, so that no date decides; without the folder's own path in it.
    """
    how = ("-q", "--invalidation-mode", "unchecked-hash", "-s", str(folder), str(folder))
    command = (sys.executable, "-m", "compileall", *how)
    context.run("compile", command, failed=f"{folder.name} cannot be compiled")


def _function_code(root: Path, name: str) -> package_files.Files:
    """Return a function's own folder, and what it reaches of the library."""
    files = package_files.sources(root / "functions" / name, f"functions/{name}/")
    init = root / "functions" / "__init__.py"
    shared = {"functions/__init__.py": init} if init.is_file() else {}
    own = {k: v for k, v in {**shared, **files}.items() if placed(k) and not _LOCK.search(k)}
    return {**own, **package_files.library_files(root, own)}


def _api_library(root: Path) -> package_files.Files:
    """Return what the API reaches of the library; its own modules Chalice packs."""
    files = package_files.sources(root / "chalice_app", "")
    own = {k: v for k, v in files.items() if not k.startswith(f"{_VENDOR}/")}
    return package_files.library_files(root, own)


def _packed_requirements(context: _BuildContext, lock: Path) -> Path:
    """Return a zip of the lock file's requirements, made unless it is there."""
    project = context.project
    cached = _folder(project) / "cache" / f"{_digest({'lock': lock})}.zip"
    if not cached.is_file():
        cached.parent.mkdir(parents=True, exist_ok=True)
        with _scratch(project) as scratch:
            draft = scratch / cached.name
            with zipfile.ZipFile(draft, "w") as archive:
                package_files.add(archive, _installed(context, lock, scratch / "site"))
            draft.replace(cached)
    return cached


def _installed(context: _BuildContext, lock: Path, site: Path) -> package_files.Files:
    """Install a lock file's requirements into `site` and return what is to be packed of them."""
    uv = find_uv(context.project, context.env)
    if uv is None:
        raise ConfigError("uv is neither in .tools/venv/bin nor on PATH: run `make setup`")
    install = (uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", str(site))
    exactly = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(lock))
    failed = f"{lock.relative_to(context.project.root)} cannot be installed"
    context.run("install", (*install, *_PLATFORM, *exactly), failed=failed)
    _compile(context, site)
    found = package_files.below(site)
    packed = {place: path for name, path in found.items() if (place := placed(name))}
    for place, path in packed.items():
        if _SHARED_LIBRARY.search(place):
            _strip(path)
    return packed


def _strip(library: Path) -> None:
    """Replace the file, not its content: uv links it to its cache."""
    draft = library.with_name(f"{library.name}.stripped")
    draft.write_bytes(elf.stripped(library.read_bytes()))
    draft.replace(library)


def find_uv(project: Project, env: Mapping[str, str]) -> str | None:
    """Return the path of uv: the one that `make setup` installed, or one on PATH."""
    ours = str(project.tools / "venv" / "bin")
    return shutil.which("uv", path=os.pathsep.join(filter(None, (ours, env.get("PATH")))))


def _checked(built: Built) -> Built:
    if built.unzipped_bytes > LIMIT_BYTES:
        raise ConfigError(
            f"{built.name} is {built.unzipped_bytes:,} bytes unzipped and AWS allows "
            f"{LIMIT_BYTES:,}: take a requirement out, or leave more of it out in {__file__}"
        )
    return built


def _line(built: Built) -> str:
    unzipped_mb, share = built.unzipped_bytes / 1e6, built.unzipped_bytes / LIMIT_BYTES
    zipped = f"{built.zipped_bytes / 1e6:6.1f} MB zipped, " if built.zipped_bytes else " " * 18
    return f"{built.name:16}{zipped}{unzipped_mb:6.1f} MB unzipped, {share:4.0%} of AWS's limit\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what the arguments name, `functions` or `vendor`; both without an argument."""
    parser = argparse.ArgumentParser(
        prog="python -m movierec.stack.packaging.lambda_packages", description=__doc__
    )
    parser.add_argument("what", nargs="?", choices=("functions", "vendor", "all"), default="all")
    what = parser.parse_args(arguments).what
    started_s = time.monotonic()
    env = child_environment.basic(os.environ) | child_environment.internet(os.environ)
    try:
        project = find_project(os.environ, Path.cwd())
        built = build_functions(project, env) if what != "vendor" else ()
        built += (build_vendor(project, env),) if what != "functions" else ()
    except MovierecError as exc:
        sys.stderr.write(f"{exc}\n")
        return exc.exit_code
    sys.stdout.writelines(map(_line, built))
    sys.stdout.write(f"{time.monotonic() - started_s:.1f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
