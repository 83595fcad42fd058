"""The environment of a child process, made for it and not inherited.

Real machines export AWS_PROFILE, AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE, proxies and a
TF_CLI_CONFIG_FILE that names a missing file. A child that saw them would talk to somebody's real
account, verify the emulator against the wrong certificates, or send loopback traffic to a proxy.
So a child gets what is listed here, and nothing else. All functions are pure.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

REGION: Final = "us-east-1"
ACCOUNT: Final = "000000000000"

# What a program needs to run at all.
_BASIC: Final = ("HOME", "LANG", "LC_ALL", "LOGNAME", "TERM", "TZ", "USER")

# What it needs besides to reach the internet as its user does: proxies, certificates, registries.
_INTERNET: Final = (
    "ALL_PROXY",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
)
_INTERNET_PREFIXES: Final = ("PIP_", "UV_")


def basic(inherited: Mapping[str, str], *, path: Iterable[Path] = ()) -> dict[str, str]:
    """Return the least a child can run with; `path` comes first on its PATH."""
    kept = {name: inherited[name] for name in _BASIC if name in inherited}
    folders = [str(folder) for folder in path]
    folders.append(inherited.get("PATH") or "/usr/local/bin:/usr/bin:/bin")
    return {
        "LANG": "C.UTF-8",
        **kept,
        "PATH": ":".join(folders),
        "PYTHONUNBUFFERED": "1",  # a log that lags behind its process misleads
    }


def emulated_aws(endpoint_url: str) -> dict[str, str]:
    """Return AWS settings that can only reach the emulator.

    The account files are /dev/null, so that no profile of the user's is ever read, and the
    instance metadata service is off, so that nothing asks 169.254.169.254 for credentials.
    """
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_PAGER": "",
    }


def internet(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return what a child needs besides to reach the internet as its user does."""
    return {
        name: value
        for name, value in inherited.items()
        if name.upper() in _INTERNET or name.startswith(_INTERNET_PREFIXES)
    }
