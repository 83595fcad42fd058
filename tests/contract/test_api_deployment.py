"""Staging and deploying the API: each run by itself, whatever the emulator remembers."""

import json
import zipfile
from pathlib import Path

import pytest

from movierec.errors import ConfigError, UnavailableError
from movierec.stack.deploy import chalice_api
from movierec.stack.layout import Project, Run
from movierec.stack.processes.client import Client

ROLE = "arn:aws:iam::000000000000:role/movierec-api"
TEMPLATE = (Path(__file__).parents[2] / "chalice_app" / ".chalice" / "config.json").read_text()

# Stands in for Chalice: packages what is staged and writes down what it deployed.
CHALICE = """#!/usr/bin/env python3
import json, os, pathlib, sys, zipfile
here = pathlib.Path.cwd()
(here / "seen.json").write_text(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ)}))
print("Creating deployment package.")
if os.environ.get("FAIL"):
    sys.exit("no such role")
record = here / ".chalice/deployed/api.json"
known = json.loads(record.read_text())["resources"] if record.exists() else []
api_id = known[0]["rest_api_id"] if known else "new1"
package = here / ".chalice/deployments/abc-python3.13.zip"
if not package.exists():
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("app.py", "")
record.parent.mkdir(exist_ok=True)
record.write_text(json.dumps({"resources": [
    {"name": "api_handler", "lambda_arn": "arn:f"},
    {"name": "rest_api", "rest_api_id": api_id}]}))
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    source = tmp_path / "chalice_app"
    (source / "vendor" / "movierec").mkdir(parents=True)
    (source / "vendor" / "movierec" / "__init__.py").write_text("")
    (source / "chalicelib" / "__pycache__").mkdir(parents=True)
    (source / "chalicelib" / "__pycache__" / "stray.pyc").write_text("")
    (source / "chalicelib" / "edge.py").write_text("EDGE = 1")
    (source / "app.py").write_text("app = 1")
    (source / ".chalice").mkdir()
    (source / ".chalice" / "config.json").write_text(TEMPLATE)
    program = tmp_path / ".venv" / "bin" / "chalice"
    program.parent.mkdir(parents=True)
    program.write_text(CHALICE)
    program.chmod(0o755)
    return Project(tmp_path).run("one").create()


def deploy(run: Run, rest_api_id: str | None = None, **env: str) -> str:
    with Client(run) as client:
        return chalice_api.deploy(
            client,
            {"PATH": "/usr/local/bin:/usr/bin:/bin", **env},
            role_arn=ROLE,
            variables={"A": "1"},
            rest_api_id=rest_api_id,
        )


def test_a_deployment_says_what_it_made(run: Run) -> None:
    assert (chalice_api.FUNCTION, deploy(run)) == ("movierec-api", "new1")


def test_an_api_that_exists_is_updated_not_made_twice(run: Run) -> None:
    assert deploy(run, "known1") == "known1"


def test_an_api_that_was_wiped_is_made_anew(run: Run) -> None:
    deploy(run, "known1")

    assert deploy(run, None) == "new1"


def test_the_child_sees_the_given_environment_and_no_more(run: Run) -> None:
    deploy(run, AWS_ENDPOINT_URL="http://127.0.0.1:1")

    seen = json.loads((run.chalice / "seen.json").read_text())
    assert seen["argv"] == ["deploy", "--stage", "api"]
    assert seen["env"]["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert seen["env"]["PYTHONDONTWRITEBYTECODE"] == "1"
    assert not {"AWS_CA_BUNDLE", "AWS_PROFILE", "HOME"} & seen["env"].keys()


def test_the_function_gets_its_role_and_environment(run: Run) -> None:
    deploy(run)

    stage = json.loads((run.chalice / ".chalice" / "config.json").read_text())["stages"]["api"]
    assert stage["iam_role_arn"] == ROLE
    assert stage["environment_variables"] == {"A": "1"}
    assert (stage["manage_iam_role"], stage["api_gateway_stage"]) == (False, "latest")


def test_only_what_belongs_into_the_package_is_staged(run: Run) -> None:
    deploy(run)

    names = {path.name for path in run.chalice.rglob("*")}
    assert {"app.py", "chalicelib", "vendor", "movierec"} <= names
    assert "stray.pyc" not in names


def compiled(run: Run) -> dict[str, bytes]:
    return {
        str(path.relative_to(run.chalice)): path.read_bytes() for path in run.chalice.rglob("*.pyc")
    }


def test_what_chalice_adds_to_the_package_is_compiled_and_the_same_twice(run: Run) -> None:
    """A function's code is read-only: each cold start would compile it again."""
    deploy(run)
    first = compiled(run)
    deploy(run)

    cached = "__pycache__/{}.cpython-313.pyc"
    assert first.keys() == {
        f"chalicelib/{cached.format('edge')}",
        f"vendor/{cached.format('app')}",
        f"vendor/chalice/{cached.format('app')}",
        f"vendor/chalice/{cached.format('__init__')}",
    }
    assert first == compiled(run)
    # PEP 552: the source's hash instead of its date, and compared: code changed in place counts.
    assert {code[4:8] for code in first.values()} == {b"\x03\0\0\0"}


def test_what_an_earlier_deployment_staged_is_gone(run: Run) -> None:
    deploy(run)
    (run.chalice / "chalicelib" / "deleted.py").write_text("")

    deploy(run)

    assert not (run.chalice / "chalicelib" / "deleted.py").exists()


def test_a_package_is_compressed_once_for_all_runs(run: Run) -> None:
    deploy(run)
    other = run.project.run("two").create()

    deploy(other)

    package = ".chalice/deployments/abc-python3.13.zip"
    assert (other.chalice / package).samefile(run.chalice / package)
    assert zipfile.is_zipfile(run.project.build / "chalice" / "abc-python3.13.zip")


def test_old_packages_are_dropped(run: Run) -> None:
    cache = run.project.build / "chalice"
    cache.mkdir(parents=True)
    for number in range(6):
        (cache / f"{number}-python3.13.zip").write_bytes(b"")

    deploy(run)

    assert len(list(cache.glob("*.zip"))) == 3


def test_a_failure_says_what_chalice_said_and_where_the_rest_is(run: Run) -> None:
    with pytest.raises(UnavailableError, match=r"exit 1\): no such role; see .*chalice\.log"):
        deploy(run, FAIL="1")


def test_without_a_filled_vendor_one_is_told_to_fill_it(run: Run) -> None:
    (run.project.root / "chalice_app" / "vendor" / "movierec").rename(run.folder / "away")

    with pytest.raises(ConfigError, match="make vendor"):
        deploy(run)


def test_without_chalice_one_is_told_to_set_up(run: Run) -> None:
    (run.project.root / ".venv" / "bin" / "chalice").unlink()

    with pytest.raises(ConfigError, match="make setup"):
        deploy(run)


def test_the_waits_are_botocores_own_but_for_the_interval() -> None:
    """Should botocore change an operation or an outcome, this fails."""
    import botocore  # noqa: PLC0415  # the data beside it, not the library

    path = Path(botocore.__file__).parent / "data" / "lambda" / "2015-03-31" / "waiters-2.json"
    theirs = json.loads(path.read_bytes())["waiters"]

    for name, ours in chalice_api.waiters(0.5)["waiters"].items():
        assert ours["delay"] * ours["maxAttempts"] == theirs[name]["delay"] * 60
        assert ours["operation"] == theirs[name]["operation"]
        assert ours["acceptors"] == theirs[name]["acceptors"]
