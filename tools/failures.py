"""Failures of the set-up, each as one line on what to do."""

from __future__ import annotations

import re


class SetupError(Exception):
    """What is missing and what to do about it, on one line."""


# Patterns of what programs say, and what it means; the first that fits counts.
_MEANINGS = {
    "no space left on device": "the disk is full: free 3 GB",
    "read-only file system|permission denied": (
        "something cannot be written: check who owns this checkout and ~/.cache"
    ),
    "no rule to make target": "a file is missing: get the checkout whole again (git checkout)",
    "invalid peer certificate|certificate verify failed|unknownissuer": (
        "a certificate is not trusted: set SSL_CERT_FILE to your organisation's certificates"
    ),
    "hash mismatch|do not match the hashes|sha-256": (
        "a download is not what was locked: check your package index or mirror"
    ),
    "dns error|error sending request|failed to fetch|connection refused|connect timeout|"
    "name or service not known|temporary failure in name resolution|network is unreachable|"
    "max retries exceeded|newconnectionerror|failed to establish a new connection": (
        "no network: check the connection, and HTTPS_PROXY or your package index if you use one"
    ),
    "no matching distribution found|no solution found|not found in the package registry": (
        "the package index lacks it or does not answer: check the connection, and your mirror"
    ),
}


def explain(log: str) -> str:
    """Return one line on why a command failed: its meaning where known, and its last words.

    A line that begins with `set-up: ` is this set-up's own explanation, and passes as it is; lines
    that begin with `+ ` are the shell's trace.
    """
    stripped = (line.strip() for line in log.splitlines())
    lines = [line for line in stripped if line and not line.startswith("+ ")]
    for line in lines:
        if line.startswith("set-up: "):
            return line[len("set-up: ") :]
    for pattern, meaning in _MEANINGS.items():
        for line in lines:
            if re.search(pattern, line, re.IGNORECASE):
                return f"{meaning} [{line[:200]}]"
    return lines[-1][:300] if lines else "no reason given"
