"""The environment in which the set-up's children run, made from the user's."""

from __future__ import annotations

import ast
import contextlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

_KEPT = (
    "ALL_PROXY",
    "CURL_CA_BUNDLE",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LANG",
    "LC_ALL",
    "LOGNAME",
    "M2_REPO",
    "MOVIEREC_TERRAFORM_URL",
    "NETRC",
    "NO_PROXY",
    "PATH",
    "PYENV_ROOT",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TF_PLUGIN_DIR",
    "TMPDIR",
    "USER",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_DIRS",
    "XDG_DATA_HOME",
)

# Of the user's pip and uv, everything about where packages come from; nothing about where they
# go or which, since that is what the locks and this set-up decide.
_DROPPED = (
    "PIP_CONSTRAINT",
    "PIP_NO_DEPS",
    "PIP_PREFIX",
    "PIP_REQUIREMENT",
    "PIP_ROOT",
    "PIP_TARGET",
    "UV_CONSTRAINT",
    "UV_EXCLUDE_NEWER",
    "UV_OVERRIDE",
    "UV_PROJECT",
    "UV_PROJECT_ENVIRONMENT",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_TARGET",
    "UV_WORKING_DIRECTORY",
)

_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")

# pip's options and uv's variables for the same; several values are separated as uv wants them.
_SAME = {
    "cert": ("SSL_CERT_FILE", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "proxy": ("HTTPS_PROXY", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
}


def clean(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return what the children may see of the user's environment."""
    kept = {
        name: value
        for name, value in inherited.items()
        if (name.upper() in _KEPT or name.startswith(("PIP_", "UV_"))) and name not in _DROPPED
        # A variable that names a missing file breaks every request, and is common.
        if name not in _CERTIFICATES or Path(value).exists()
    }
    kept.setdefault("PATH", "/usr/local/bin:/usr/bin:/bin")
    return {**kept, "PIP_USER": "0", "PYTHONDONTWRITEBYTECODE": "1"}


def uv_settings(env: Mapping[str, str], pip_python: Path) -> dict[str, str]:
    """Return uv's settings for this set-up, the user's pip configuration among them.

    uv reads no pip configuration, where somebody whose machine reaches packages only through a
    mirror has usually named it. A pyenv's interpreters are on PATH only as shims, which fail for a
    version that is not selected: they are appended to it.
    """
    command = [str(pip_python), "-m", "pip", "config", "list"]
    listing = subprocess.run(command, env=env, capture_output=True, check=False).stdout
    of_pip = translated(listing.decode("utf-8", "replace"))
    pyenv = Path(env.get("PYENV_ROOT") or env.get("HOME", "/") + "/.pyenv")
    interpreters = sorted(map(str, pyenv.glob("versions/3.*/bin")))
    return {
        "UV_NO_PROGRESS": "1",
        "UV_NO_ENV_FILE": "1",
        **{name: value for name, value in of_pip.items() if name not in env},
        "PATH": ":".join([env["PATH"], *interpreters]),
    }


def translated(listing: str) -> dict[str, str]:
    """Return uv's variables for the output of `pip config list`.

    A line is `global.index-url='https://...'`, where the section may be `global`, `install` or
    `:env:`, and several values have white space between them.
    """
    found: dict[str, str] = {}
    for line in listing.splitlines():
        name, _, quoted = line.partition("=")
        option = name.rpartition(".")[2]
        if option in _SAME:
            variable, separator = _SAME[option]
            with contextlib.suppress(ValueError, SyntaxError):
                quoted = str(ast.literal_eval(quoted))
            values = [v for v in quoted.split() if not v.startswith("/") or Path(v).exists()]
            if values:
                found[variable] = separator.join(values)
    return found
