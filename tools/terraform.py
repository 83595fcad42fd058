"""Which Terraform, and where its AWS provider comes from."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tools.failures import SetupError

OLDEST = (1, 6)
VERSION = "1.11.4"
PROVIDER = "5.100.0"
HOST_FOLDER = "registry.terraform.io"

DEFAULT_URL = "https://releases.hashicorp.com/terraform"
URL_VARIABLE = "MOVIEREC_TERRAFORM_URL"
"""Environment variable: a mirror of the default, laid out alike."""

# The publisher's terraform_1.11.4_SHA256SUMS.
SHA256 = {
    "linux_amd64": "1ce994251c00281d6845f0f268637ba50c0005657eb3cf096b92f753b42ef4dc",
    "linux_arm64": "a43d1d0da9b9bab214a8305a39db0e40869572594ccf50c416a7756499143633",
}

# Below these, a mirror is looked for at most this many folders down.
PREFIXES = ("/opt", "/usr/local", "/usr/share", "/usr/lib", "/var/lib", "/srv", "/mnt")
DEPTH = 2

_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_TIMEOUT_S = 60


def target() -> str:
    """Return this machine's platform as Terraform names it, `linux_amd64`."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}_{_MACHINES.get(machine, machine)}"


def parse_version(text: str) -> tuple[int, ...]:
    """Return `(1, 11, 4)` for `1.11.4` or `1.11.4-dev`, and () for what is no version."""
    numbers = text.partition("-")[0].split(".")
    return tuple(int(n) for n in numbers) if all(n.isdigit() for n in numbers) else ()


def usable(found: tuple[int, ...]) -> bool:
    """Say whether a Terraform of that version will do: 1.6 or a later 1.x."""
    return bool(found) and found[0] == OLDEST[0] and found >= OLDEST


def installed_version(program: str, env: Mapping[str, str]) -> tuple[int, ...]:
    """Return a Terraform's version, () if it cannot be asked."""
    clean = {**env, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    command = [program, "version", "-json"]
    try:
        answer = subprocess.check_output(
            command, env=clean, stderr=subprocess.DEVNULL, timeout=_TIMEOUT_S
        )
        return parse_version(json.loads(answer)["terraform_version"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return ()


def install(program: Path, env: Mapping[str, str], *, base_url: str, scratch: Path) -> None:
    """Make `program` a usable Terraform: a link to the one on PATH, else a verified download."""
    program.parent.mkdir(parents=True, exist_ok=True)
    folders = env.get("PATH", "").split(os.pathsep)
    others = os.pathsep.join(f for f in folders if Path(f) != program.parent)
    on_path = shutil.which("terraform", path=others)
    if on_path and usable(installed_version(on_path, env)):
        part = scratch / "terraform.link"
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
        part.symlink_to(Path(on_path).absolute())
    else:
        part = _download(base_url, scratch)
        part.chmod(0o755)
    part.replace(program)


def _download(base_url: str, scratch: Path) -> Path:
    """Fetch, verify and unpack the pinned release; return the program's path in `scratch`."""
    if target() not in SHA256:
        raise SetupError(f"terraform: no release for {target()} is pinned: install 1.6 or newer")
    url = f"{base_url.rstrip('/')}/{VERSION}/terraform_{VERSION}_{target()}.zip"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as source:  # noqa: S310  # file: too
            archive: bytes = source.read()
    except (ValueError, OSError, http.client.HTTPException) as exc:
        raise SetupError(
            f"terraform: none on PATH, and {url} cannot be fetched ({exc}): "
            f"install Terraform 1.6 or newer, or set {URL_VARIABLE} to a mirror"
        ) from exc
    found = hashlib.sha256(archive).hexdigest()
    if found != SHA256[target()]:
        raise SetupError(
            f"terraform: {url} has SHA-256 {found}, the release has {SHA256[target()]}: "
            "try another mirror"
        )
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return Path(opened.extract("terraform", scratch))


def find_mirror(
    env: Mapping[str, str], home: Path, prefixes: Iterable[str] = PREFIXES
) -> Path | None:
    """Return the first folder laid out as a mirror that has the AWS provider, None without one."""
    return next(filter(_has_provider, _candidates(env, home, prefixes)), None)


def _candidates(env: Mapping[str, str], home: Path, prefixes: Iterable[str]) -> Iterator[Path]:
    if env.get("TF_PLUGIN_DIR"):
        yield Path(env["TF_PLUGIN_DIR"])
    # Terraform's implied mirrors: CLI configuration, "Implied Local Mirror Directories".
    yield home / ".terraform.d" / "plugins"
    yield Path(env.get("XDG_DATA_HOME") or home / ".local" / "share") / "terraform" / "plugins"
    for data in (env.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":"):
        yield Path(data) / "terraform" / "plugins"
    for prefix in prefixes:
        for depth in range(DEPTH + 1):
            with contextlib.suppress(OSError):
                pattern = "*/" * depth + HOST_FOLDER
                yield from (found.parent for found in sorted(Path(prefix).glob(pattern)))


def _has_provider(mirror: Path) -> bool:
    aws = mirror / HOST_FOLDER / "hashicorp" / "aws"
    packed = aws / f"terraform-provider-aws_{PROVIDER}_{target()}.zip"
    try:
        return packed.is_file() or any((aws / PROVIDER / target()).iterdir())
    except OSError:
        return False


def configuration(mirror: Path | None, cache: Path) -> str:
    """Return the text of a Terraform CLI configuration file.

    With a mirror, everything comes from it and nothing is asked of the network; without one, from
    the registry, once for all runs.
    """
    if mirror is not None:
        path = json.dumps(str(mirror))
        body = f"provider_installation {{\n  filesystem_mirror {{\n    path = {path}\n  }}\n}}\n"
    else:
        # The lock file is made anew in each run's folder, so a cached provider has no entry there.
        body = (
            f"plugin_cache_dir = {json.dumps(str(cache))}\n"
            "plugin_cache_may_break_dependency_lock_file = true\n"
        )
    return "disable_checkpoint = true\n" + body


def main(command: str, env: Mapping[str, str], tools: Path) -> None:
    """Do one of this module's two steps of the set-up, and name what is missing for it."""
    if command == "install":
        base_url = env.get(URL_VARIABLE) or DEFAULT_URL
        try:
            install(tools / "bin/terraform", env, base_url=base_url, scratch=tools)
        except SetupError as exc:
            sys.exit(f"set-up: {exc}")
    else:
        cache = tools / "terraform-plugins"
        cache.mkdir(exist_ok=True)
        mirror = find_mirror(env, Path(env.get("HOME", "/")))
        (tools / "terraform.rc").write_text(configuration(mirror, cache), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], os.environ, Path(".tools").resolve())
