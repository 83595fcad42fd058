"""The Lambda packages as they are shipped: what is in them, do they run, when are they built.

The real ones come from build/packages, built here if they are not there: 20 s the first time.
"""

import fcntl
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from movierec.errors import ConfigError, UnavailableError
from movierec.stack.layout import Project
from movierec.stack.packaging import lambda_packages
from tests.packaging.toy_checkout import FUNCTIONS, PROJECT, ROOT, make_checkout

# What AWS's runtime brings along; the process runtime's environment holds the same.
RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    """Return a folder that holds what the Lambda runtime brings along, and nothing else."""
    site = Path(next(p for p in sys.path if p.endswith("site-packages")))
    folder = tmp_path_factory.mktemp("runtime")
    for name in RUNTIME:
        (folder / name).symlink_to(site / name)
    return folder


def run_isolated(code, *folders, libraries=None):
    """Run code in this Python, with these folders and the standard library alone."""
    head = f"import sys; sys.path[:0] = {[str(folder) for folder in folders]!r}\n"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", head + code],
        env={"LD_LIBRARY_PATH": str(libraries)} if libraries else {},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def unzipped(built, tmp_path_factory):
    folder = tmp_path_factory.mktemp(built.name)
    with zipfile.ZipFile(built.path) as archive:
        archive.extractall(folder)
    return folder


def names(path):
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_there_is_a_package_for_every_function():
    handlers = {path.parent.name for path in (ROOT / "functions").glob("*/handler.py")}

    assert handlers == set(FUNCTIONS) != set()


def test_a_package_is_within_what_aws_allows(built):
    with zipfile.ZipFile(built.path) as archive:
        size_bytes = sum(entry.file_size for entry in archive.infolist())
    print(f"{built.name}: {size_bytes:,} bytes unzipped")  # noqa: T201  pytest -rP shows it

    assert size_bytes == built.unzipped_bytes <= lambda_packages.LIMIT_BYTES == 262_144_000


def test_a_package_imports_its_handler_with_the_runtime_alone(built, unzipped, runtime):
    module = f"functions.{built.name}.handler"
    code = f"import {module} as m; assert callable(m.handler); print(m.__file__)"

    done = run_isolated(code, unzipped, runtime, libraries=unzipped / "lib")

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(unzipped / f"functions/{built.name}/handler.py")


def test_training_loads_the_openmp_runtime_that_is_in_the_package(built, unzipped, runtime):
    if "implicit/__init__.py" not in names(built.path):
        pytest.skip(f"{built.name} has no implicit")
    code = "import implicit.cpu.als; print(open('/proc/self/maps').read())"

    done = run_isolated(code, unzipped, runtime, libraries=unzipped / "lib")

    assert done.returncode == 0, done.stderr
    loaded = {line.split()[-1] for line in done.stdout.splitlines() if "gomp" in line}
    assert loaded == {str(unzipped / "lib" / "libgomp.so.1")}


def test_shared_libraries_are_stripped_and_the_originals_left_alone(built):
    """e_shoff, e_shnum and e_shstrndx: a library without sections has none of them."""
    with zipfile.ZipFile(built.path) as archive:
        libraries = {
            n: archive.read(n) for n in archive.namelist() if ".so" in PurePosixPath(n).name
        }
    headers = {n: struct.unpack_from("<QxxxxxxxxxxxxHH", b, 40) for n, b in libraries.items()}

    assert {name for name, header in headers.items() if header != (0, 0, 0)} == set()
    assert any(name.startswith("numpy.libs/") for name in libraries)
    ours = Path(np.__file__).parent / "_core" / "_multiarray_umath.cpython-313-x86_64-linux-gnu.so"
    assert struct.unpack_from("<Q", ours.read_bytes()[:64], 40) != (
        0,
    )  # uv links both to its cache


def test_a_package_leaves_to_the_runtime_what_it_brings(built):
    tops = {name.split("/")[0] for name in names(built.path)}

    assert not tops & {"boto3", "botocore", "s3transfer"}


def test_a_package_holds_no_part_of_the_command_line(built):
    held = names(built.path)

    assert "movierec/errors.py" in held
    assert not [name for name in held if name.startswith(("movierec/cli/", "movierec/stack/"))]
    assert not [name for name in held if name.endswith(("requirements.txt", ".pyi"))]
    assert len(held) == len(set(held))


def test_every_module_is_compiled_and_its_bytecode_believed(built):
    """PEP 552: flags of 1 are a hash that is not checked against the source."""
    held = set(names(built.path))
    modules = [PurePosixPath(name) for name in held if name.endswith(".py")]
    compiled = {str(m.parent / "__pycache__" / f"{m.stem}.cpython-313.pyc") for m in modules}
    assert compiled - held == set()
    with zipfile.ZipFile(built.path) as archive:
        flags = {archive.read(name)[4:8] for name in compiled & held}
    assert flags == {(1).to_bytes(4, "little")}


def test_versions_of_libraries_can_be_told_from_inside(built, unzipped):
    code = "from importlib.metadata import version; print(version('numpy'))"

    done = run_isolated(code, unzipped)

    lock = (ROOT / "functions" / built.name / "requirements.txt").read_text(encoding="utf-8")
    assert f"numpy=={done.stdout.strip()} " in lock


def test_the_api_imports_from_vendor_and_the_runtime_alone(vendor, runtime):
    modules = ("movierec.model.ranking", "movierec.model.artifact", "movierec.aws.s3_store")
    imported = ", ".join(("numpy", "aws_lambda_powertools", *modules))

    done = run_isolated(f"import {imported}; print(movierec.__file__)", vendor.path, runtime)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(vendor.path / "movierec" / "__init__.py")
    assert not list(vendor.path.glob("boto*"))
    assert (vendor.path / "movierec/model/__pycache__/ranking.cpython-313.pyc").is_file()
    assert not list(vendor.path.glob("movierec*.dist-info"))


def test_chalice_packs_the_api_without_the_network_and_within_the_limit(vendor, tmp_path, runtime):
    """From a staged copy whose vendor/ is a link, without pip and without a proxy out."""
    staged = tmp_path / "api"
    ignored = shutil.ignore_patterns("vendor", ".chalice", "__pycache__")
    shutil.copytree(ROOT / "chalice_app", staged, ignore=ignored)
    (staged / "vendor").symlink_to(vendor.path)
    code = (
        "from chalice.deploy.packager import DependencyBuilder, LambdaDeploymentPackager\n"
        "from chalice.utils import OSUtils, UI\n"
        "packager = LambdaDeploymentPackager(OSUtils(), DependencyBuilder(OSUtils()), UI())\n"
        f"print(packager.create_deployment_package({str(staged)!r}, 'python3.13'))\n"
    )
    offline = {"PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1", "PYTHONDONTWRITEBYTECODE": "1"}

    done = subprocess.run(
        [sys.executable, "-c", code], env=offline, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    package = Path(done.stdout.split()[-1])
    unzipped = tmp_path / "unzipped"
    with zipfile.ZipFile(package) as archive:
        assert sum(entry.file_size for entry in archive.infolist()) <= lambda_packages.LIMIT_BYTES
        archive.extractall(unzipped)
    assert not list(unzipped.glob("boto*"))
    imported = run_isolated("import app; assert callable(app.app)", unzipped, runtime)
    assert imported.returncode == 0, imported.stderr


# How packages are built, on a checkout of one small function.


def build(checkout, env):
    return lambda_packages.build_function(checkout, env, "echo")


def test_two_checkouts_of_the_same_code_give_the_same_bytes(checkout, env, tmp_path):
    other = make_checkout(tmp_path / "two")
    for path in other.root.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o600)

    one, two = build(checkout, env), build(other, env)

    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.sha256 == two.sha256
    assert {"functions/echo/handler.py", "movierec/__init__.py"} < set(names(one.path))


def test_a_real_package_is_the_same_when_it_is_built_again(built, env, tmp_path):
    if built.name != "train_als":
        pytest.skip("one of them is enough: it takes as long as the first build")
    again = Project(tmp_path)
    for name in ("src", "functions"):
        (tmp_path / name).symlink_to(ROOT / name)

    assert lambda_packages.build_function(again, env, built.name).sha256 == built.sha256


def test_a_second_build_does_nothing(checkout, env):
    first = build(checkout, env)
    written = first.path.stat()

    second = build(checkout, {"PATH": ""})  # where nothing could be built

    assert second == first
    assert second.path.stat().st_ino == written.st_ino


@pytest.mark.parametrize(
    "changed", ["functions/echo/handler.py", "src/movierec/__init__.py", "functions/echo/new.py"]
)
def test_changed_code_is_shipped(checkout, env, changed):
    first = build(checkout, env)
    with (checkout.root / changed).open("a", encoding="utf-8") as code:
        code.write("changed = True\n")

    second = build(checkout, env)

    assert second.sha256 != first.sha256
    place = changed.removeprefix("src/")
    with zipfile.ZipFile(second.path) as archive:
        assert archive.read(place).endswith(b"changed = True\n")


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_a_damaged_package_is_built_again(checkout, env, damage):
    first = build(checkout, env)
    damage(first.path)

    assert build(checkout, env).sha256 == first.sha256
    assert "functions/echo/handler.py" in names(first.path)


def test_packed_requirements_of_an_old_lock_are_dropped(checkout, env):
    lambda_packages.build_functions(checkout, env)
    lock = checkout.root / "functions/echo/requirements.txt"
    lock.write_text(lock.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")

    lambda_packages.build_functions(checkout, env)

    assert len(list((checkout.build / "packages" / "cache").iterdir())) == 1


def test_a_build_leaves_nothing_half_made_behind(checkout, env):
    build(checkout, env)

    left = {path.name for path in (checkout.build / "packages").iterdir()}
    assert left == {"cache", "locks", "echo.zip", "echo.json"}


def test_of_two_builds_of_one_package_at_the_same_time_the_second_waits(checkout, env):
    """Side by side, the record of the one could end beside the file of the other."""
    uv = checkout.tools / "venv" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    calls, real = checkout.root / "calls", lambda_packages.find_uv(PROJECT, env)
    uv.write_text(f'#!/bin/sh\necho >>"{calls}"\nexec "{real}" "$@"\n', encoding="utf-8")
    uv.chmod(0o755)

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: build(checkout, env), range(2))

    assert one == two
    assert calls.read_text(encoding="utf-8") == "\n"


def test_what_a_run_was_brought_up_with_stays_when_other_code_is_built(checkout, env, tmp_path):
    """Terraform reads it twice: for its sum, and to upload it."""
    mine, others = tmp_path / "mine", tmp_path / "others"
    [first] = lambda_packages.build_functions(checkout, env, into=mine)
    before = first.path.read_bytes()
    with (checkout.root / "functions/echo/handler.py").open("a", encoding="utf-8") as code:
        code.write("changed = True\n")

    [second] = lambda_packages.build_functions(checkout, env, into=others)

    assert first.path == mine / "echo.zip"
    assert first.path.read_bytes() == before
    assert second.path.read_bytes() != before
    [again] = lambda_packages.build_functions(checkout, env, into=mine)
    assert again.path.read_bytes() == second.path.read_bytes()


def test_vendor_stays_as_it_is_while_somebody_copies_it(checkout, env):
    first = lambda_packages.build_vendor(checkout, env)
    library = checkout.root / "src/movierec/__init__.py"
    before = library.read_text(encoding="utf-8")
    library.write_text(before + "x = 1\n", encoding="utf-8")
    vendored = first.path / "movierec" / "__init__.py"

    with ThreadPoolExecutor(1) as pool:
        with lambda_packages.locked(checkout, "vendor", fcntl.LOCK_SH):
            building = pool.submit(lambda_packages.build_vendor, checkout, env)
            with pytest.raises(TimeoutError):  # as long as a build takes, and more
                building.result(timeout=3)
            assert vendored.read_text(encoding="utf-8") == before
        building.result(timeout=60)

    assert vendored.read_text(encoding="utf-8") == before + "x = 1\n"


def test_a_requirement_that_is_not_what_was_locked_is_refused(checkout, env):
    lock = checkout.root / "functions/echo/requirements.txt"
    text = lock.read_text(encoding="utf-8")
    head = text.index("sha256:") + len("sha256:")
    wrong = text[:head].split("--hash")[0] + "--hash=sha256:" + "0" * 64 + "\n"
    lock.write_text(wrong, encoding="utf-8")

    with pytest.raises(UnavailableError, match=r"functions/echo/requirements\.txt"):
        build(checkout, env)


def test_without_uv_one_is_told_what_to_do(checkout):
    with pytest.raises(ConfigError, match="make setup"):
        build(checkout, {"PATH": ""})


def test_a_package_past_the_limit_is_refused(checkout, env, monkeypatch):
    monkeypatch.setattr(lambda_packages, "LIMIT_BYTES", 1000)

    with pytest.raises(ConfigError, match="AWS allows 1,000"):
        build(checkout, env)


def test_vendor_is_filled_once_and_again_when_somebody_changed_it(checkout, env):
    first = lambda_packages.build_vendor(checkout, env)
    assert lambda_packages.build_vendor(checkout, {"PATH": ""}) == first
    (first.path / "typing_extensions.py").unlink()

    assert lambda_packages.build_vendor(checkout, env) == first
    assert (first.path / "typing_extensions.py").is_file()
    assert {path.stat().st_mtime for path in first.path.rglob("*.py")} == {315_532_800.0}
