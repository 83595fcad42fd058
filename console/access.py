"""Who may ask what: host names, tokens, sessions, CSRF, and the headers of every answer."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Final

from movierec.errors import ConfigError
from movierec.settings import CONSOLE_TOKEN

SESSION_COOKIE: Final = "movierec_session"
ACCESS_COOKIE: Final = "movierec_access"

# 128 bits, as base64 or hex would have them: nobody guesses it over a network.
_SHORTEST_TOKEN: Final = 22

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""Of every answer: nothing of another origin, no script or style but the console's files."""


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on is reached from this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class Access:
    """Rules of one console; `token` is "" where it is open, to loopback alone.

    A session is a random name in a cookie. Whatever proves something is an HMAC of it under a key
    of this process: nothing is stored, and a restart ends all sessions.
    """

    token: str = ""
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    @classmethod
    def of(cls, host: str, env: Mapping[str, str]) -> "Access":
        """Return the rules for an address to listen on. Raises ConfigError without a token."""
        token = env.get(CONSOLE_TOKEN, "")
        if not token and not is_loopback(host):
            raise ConfigError(
                f"--host {host} is open to other machines: set {CONSOLE_TOKEN} to a secret of "
                f"{_SHORTEST_TOKEN} characters or more, which its users enter once"
            )
        if token and len(token) < _SHORTEST_TOKEN:
            raise ConfigError(
                f"{CONSOLE_TOKEN} has {len(token)} characters: expected {_SHORTEST_TOKEN} or more, "
                "as `openssl rand -hex 16` makes them"
            )
        return cls(token)

    def knows_host(self, header: str) -> bool:
        """Return whether a Host header may be answered.

        A page elsewhere can have a name of its own lead to this machine (DNS rebinding). Without
        a token, only names of loopback are.
        """
        if self.token:
            return True
        name, _, port = header.rpartition(":")
        host = name if port.isdigit() and name else header
        return is_loopback(host.strip("[]"))

    def admits(self, cookies: Mapping[str, str]) -> bool:
        """Return whether a request with these cookies may see the console."""
        if not self.token:
            return True
        session = cookies.get(SESSION_COOKIE, "")
        return bool(session) and self._same(cookies.get(ACCESS_COOKIE, ""), self.pass_for(session))

    def accepts(self, token: str) -> bool:
        """Return whether a token is the right one."""
        return self._same(token, self.token)

    def pass_for(self, session: str) -> str:
        """Return the value of the cookie that admits a session."""
        return self._signed("access", session)

    def csrf_for(self, session: str) -> str:
        """Return the token that every form of a session carries."""
        return self._signed("csrf", session)

    def allows_form(self, session: str, csrf: str) -> bool:
        """Return whether a form was made for this session."""
        return bool(session) and self._same(csrf, self.csrf_for(session))

    def signature(self, text: str) -> str:
        """Return what proves that a text in an address is the console's own."""
        return self._signed("said", text)

    def signed(self, text: str, signature: str) -> bool:
        """Return whether a text in an address is the console's own."""
        return self._same(signature, self.signature(text))

    def _signed(self, purpose: str, session: str) -> str:
        return hmac.new(self.key, f"{purpose}:{session}".encode(), hashlib.sha256).hexdigest()

    @staticmethod
    def _same(one: str, other: str) -> bool:
        return hmac.compare_digest(one.encode(), other.encode())


def new_session() -> str:
    """Return the name of a new session."""
    return secrets.token_urlsafe(24)


def cookies_in(header: str) -> dict[str, str]:
    """Return the cookies of a request's header; of a malformed one, none."""
    jar = SimpleCookie()
    try:
        jar.load(header)
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in jar.items()}


def cookie(name: str, value: str) -> str:
    """Return a Set-Cookie header: for this site's own requests alone, and for no script."""
    return f"{name}={value}; Path=/; HttpOnly; SameSite=Strict"
