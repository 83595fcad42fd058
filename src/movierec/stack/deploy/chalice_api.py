"""Deploy the API with Chalice, from a staging folder of the run's own.

Chalice writes into the folder that it deploys from: its packages, and `deployed/<stage>.json`, the
ids of what it made. So each run gets a copy of `chalice_app/`, and two runs never see each other's
ids. That record can also be wrong: the emulator was wiped, or the run's folder was. It is therefore
not kept, but written anew before each deployment from what there is.

Most of a deployment's time would be spent on two things. Compressing 50 MB: Chalice names a package
by a hash of its contents, so finished ones are kept in `build/chalice/` and shared by the runs. And
waiting: botocore looks at a function that is being updated every 5 s only, see `waiters`.
"""

import fcntl
import json
import os
import py_compile
import shutil
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from importlib.util import cache_from_source, find_spec
from pathlib import Path
from typing import Any, Final

from movierec.errors import ConfigError, UnavailableError
from movierec.stack.layout import Run
from movierec.stack.packaging import lambda_packages, package_files
from movierec.stack.packaging.package_files import Built
from movierec.stack.processes.client import Client
from movierec.stack.processes.spec import Spec, tail

APP: Final = "movierec"
STAGE: Final = "api"
"""Chalice's stage; in API Gateway it is called `latest`."""

FUNCTION: Final = f"{APP}-{STAGE}"
"""Name that Chalice gives the Lambda function."""

_CHALICE: Final = "chalice"
_DATA_PATH: Final = ".chalice/botocore"
_DEPLOYED: Final = f".chalice/deployed/{STAGE}.json"
_STRAY: Final = frozenset({"__pycache__", ".chalice", ".gitignore"})

# The newest few: this commit's, the last one's, and that of an edit in between.
_KEPT_PACKAGES: Final = 3

_WAITERS: Final = "lambda/2015-03-31/waiters-2.json"
"""Where botocore describes how to wait for a function, in any folder of its data."""

# A request costs a few milliseconds; AWS allows 100 a second.
_POLL_S: Final = 0.1
# As long as botocore waits.
_ACTIVE_WITHIN_S: Final = 300.0

# Uploading 25 MB over a slow line takes a minute; a deployment that hangs must end some day.
_TIMEOUT_S: Final = 600.0


def local_url(endpoint_url: str, rest_api_id: str, stage: str) -> str:
    """Return the emulator's URL of an API's stage: the amazonaws.com name leads elsewhere."""
    return f"{endpoint_url.rstrip('/')}/_aws/execute-api/{rest_api_id}/{stage}"


def deploy(
    client: Client,
    env: Mapping[str, str],
    *,
    role_arn: str,
    variables: Mapping[str, str],
    rest_api_id: str | None,
) -> str:
    """Deploy the API of a run as FUNCTION, and return the id of its REST API.

    `env` is the whole environment of the child; `role_arn` and `variables` are the function's role
    and environment. The REST API, if there is one, is updated. Raises ConfigError when something
    needed is missing, UnavailableError when Chalice fails.
    """
    run = client.run
    folder = stage(run, role_arn=role_arn, variables=variables, rest_api_id=rest_api_id)
    packages, cache = folder / ".chalice" / "deployments", run.project.build / "chalice"
    _share(cache, packages)
    whole = {
        **env,
        "AWS_DATA_PATH": str(folder / _DATA_PATH),
        # Compiled files would go into the package, and change its name each time.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = (str(run.project.python.with_name(_CHALICE)), "deploy", "--stage", STAGE)
    code = client.call(Spec(_CHALICE, command, whole, folder), within_s=_TIMEOUT_S)
    if code != 0 or not (folder / _DEPLOYED).is_file():
        log = run.log(_CHALICE)
        said = tail(log).splitlines()[-1].strip()
        raise UnavailableError(f"`chalice deploy` failed (exit {code}): {said}; see {log}")
    _share(packages, cache)
    for old in sorted(cache.glob("*.zip"), key=lambda path: -path.stat().st_mtime)[_KEPT_PACKAGES:]:
        old.unlink(missing_ok=True)
    return parse_deployed((folder / _DEPLOYED).read_text(encoding="utf-8"))


def fingerprint(vendor: Built, role_arn: str, variables: Mapping[str, str]) -> str:
    """Return a hash of all that `deploy` goes by; `vendor` is what `build_vendor` returned."""
    app = package_files.sources(vendor.path.parent, "")
    own = {name: path for name, path in app.items() if not name.startswith(f"{vendor.name}/")}
    parts = {"app": package_files.digest(own), "vendor": vendor.sha256, "role": role_arn}
    parts["chalice"] = version("chalice")
    return package_files.fingerprint({**parts, "variables": json.dumps(variables, sort_keys=True)})


def stage(
    run: Run, *, role_arn: str, variables: Mapping[str, str], rest_api_id: str | None
) -> Path:
    """Fill the run's staging folder and return it. Raises ConfigError without a filled vendor/."""
    source, folder = run.project.root / "chalice_app", run.chalice
    if not (source / "vendor" / "movierec").is_dir():
        raise ConfigError(f"{source / 'vendor'} is not filled: run `make vendor`")
    shutil.rmtree(folder, ignore_errors=True)
    with lambda_packages.locked(run.project, "vendor", fcntl.LOCK_SH):
        shutil.copytree(source, folder, ignore=_ignored, copy_function=package_files.link)
    config = json.loads((source / ".chalice" / "config.json").read_text(encoding="utf-8"))
    config["stages"][STAGE]["iam_role_arn"] = role_arn
    config["stages"][STAGE]["environment_variables"] |= variables
    (folder / ".chalice").mkdir()
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (folder / ".chalice" / "config.json").write_text(text, encoding="utf-8")
    _compile(folder)
    polling = folder / _DATA_PATH / _WAITERS
    polling.parent.mkdir(parents=True)
    polling.write_text(json.dumps(waiters(_POLL_S)), encoding="utf-8")
    if rest_api_id is not None:
        # Chalice's record of a REST API that exists; a function it finds by name.
        api = {"name": "rest_api", "resource_type": "rest_api", "rest_api_id": rest_api_id}
        record = {"resources": [api], "schema_version": "2.0", "backend": "api"}
        (folder / _DEPLOYED).parent.mkdir()
        (folder / _DEPLOYED).write_text(json.dumps(record), encoding="utf-8")
    return folder


def _compile(folder: Path) -> None:
    """Compile what Chalice puts into the package beside vendor/: its own runtime, and our modules.

    A function's code is read-only, so each cold start would do it again: 40 ms. Checked against the
    source's hash: who mends `app.py` in AWS's console at night must be heard.
    """
    runtime, vendor = _installed(_CHALICE), folder / "vendor"
    library = dict.fromkeys((folder / "chalicelib").glob("*.py"), folder)
    others = dict.fromkeys((runtime / "__init__.py", runtime / "app.py"), vendor)
    for source, root in {**library, **others, folder / "app.py": vendor}.items():
        place = source.relative_to(runtime.parent if source.is_relative_to(runtime) else folder)
        py_compile.compile(
            str(source),
            cfile=str(root / cache_from_source(str(place))),
            dfile=str(place),
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH,
        )


def _installed(package: str) -> Path:
    """Return where a package is installed, without the second that importing it takes."""
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ConfigError(f"{package} is not installed: run `make setup`")
    return Path(found.origin).parent


def waiters(poll_s: float) -> dict[str, Any]:
    """Return botocore's two waits of a deployment with another interval; its 5 s were 5 s of 7 s.

    Folders in AWS_DATA_PATH come before botocore's own:
    https://docs.aws.amazon.com/boto3/latest/guide/configuration.html
    """
    theirs = json.loads((_installed("botocore") / "data" / _WAITERS).read_bytes())["waiters"]
    polling = {"delay": poll_s, "maxAttempts": round(_ACTIVE_WITHIN_S / poll_s)}
    ours = {name: theirs[name] | polling for name in ("FunctionActive", "FunctionUpdated")}
    return {"version": 2, "waiters": ours}


def parse_deployed(text: str) -> str:
    """Return the REST API of Chalice's record. Raises UnavailableError if it is no record."""
    try:
        resources = {entry["name"]: entry for entry in json.loads(text)["resources"]}
        return str(resources["rest_api"]["rest_api_id"])
    except (KeyError, TypeError, ValueError) as exc:
        raise UnavailableError(f"Chalice's record lacks {exc}: deploy again") from exc


def _ignored(folder: str, names: list[str]) -> set[str]:
    """Leave out what Chalice would package by mistake, and its own folder.

    Bytecode in vendor/ was put there on purpose; beside our modules an interpreter left it.
    """
    stray = {".chalice", ".gitignore"} if "vendor" in Path(folder).parts else _STRAY
    return {name for name in names if name in stray}


def _share(source: Path, target: Path) -> None:
    """Have each package of `source` in `target`, whole: it appears under its name at once."""
    target.mkdir(parents=True, exist_ok=True)
    for package in source.glob("*.zip"):
        with suppress(FileExistsError):
            os.link(package, target / package.name)
