"""The environment in which the set-up's children run, made from the user's."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Mapping
from pathlib import Path

from tools.work import Problem, Workshop

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
    "NETRC",
    "NO_PROXY",
    "PATH",
    "PYENV_ROOT",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "USER",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
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
    "PIP_USER",
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
    }
    for name in _CERTIFICATES:
        # A variable that names a missing file breaks every request, and is common.
        if name in kept and not Path(kept[name]).exists():
            del kept[name]
    kept.setdefault("PATH", "/usr/local/bin:/usr/bin:/bin")
    return {**kept, "PIP_USER": "0", "PYTHONDONTWRITEBYTECODE": "1"}


def uv_settings(shop: Workshop, pip_python: Path) -> dict[str, str]:
    """Return uv's settings for this set-up, the user's pip configuration among them.

    uv reads no pip configuration. Somebody whose machine reaches packages only through a mirror
    has usually told pip.
    """
    told_pip = translated(_pip_configuration(shop, pip_python))
    news = {name: value for name, value in told_pip.items() if name not in shop.env}
    return {"UV_NO_PROGRESS": "1", "UV_NO_ENV_FILE": "1", **news}


def _pip_configuration(shop: Workshop, pip_python: Path) -> str:
    listing = ""
    if pip_python.exists():
        with contextlib.suppress(Problem):
            listing = shop.run("pip-config", [pip_python, "-m", "pip", "config", "list"])
    return listing


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
            values = [
                v for v in _unquoted(quoted).split() if not v.startswith("/") or Path(v).exists()
            ]
            if values:
                found[variable] = separator.join(values)
    return found


def _unquoted(quoted: str) -> str:
    try:
        return str(ast.literal_eval(quoted))
    except (ValueError, SyntaxError):
        return quoted
