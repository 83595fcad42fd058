"""Who may ask the console what."""

import pytest

from console.access import Access
from movierec.errors import ConfigError

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.0.1"])
def test_loopback_is_open_without_a_token(host):
    assert Access.of(host, {}).token == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "console.example.org"])  # noqa: S104
def test_any_other_address_needs_a_token(host):
    with pytest.raises(ConfigError, match="MOVIEREC_CONSOLE_TOKEN"):
        Access.of(host, {})
    assert Access.of(host, {"MOVIEREC_CONSOLE_TOKEN": TOKEN}).token == TOKEN


def test_a_token_that_can_be_guessed_is_refused():
    with pytest.raises(ConfigError, match="has 8 characters: expected 22 or more"):
        Access.of("0.0.0.0", {"MOVIEREC_CONSOLE_TOKEN": "password"})  # noqa: S104


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8084", 200),
        ("localhost", 200),
        ("[::1]:8084", 200),
        ("evil.example:8084", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ],
)
def test_without_a_token_only_names_of_loopback_are_answered(browse, busy, host, status):
    """A page elsewhere can have a name of its own lead to this machine."""
    assert browse(busy, host=host).get("/").status == status


def test_a_stranger_is_asked_for_the_token(browse, busy):
    browser = browse(busy, token=TOKEN, host="console.example.org")

    for path in ("/", "/panels/overview/alarms", "/nothing"):
        found = browser.get(path)
        assert (found.status, found.header("location")) == (303, "/sign-in")
    refreshed = browser.get("/panels/overview/alarms", hx_request="true")
    assert (refreshed.status, refreshed.header("hx-redirect")) == (401, "/sign-in")
    assert browser.get("/healthz").status == 200
    assert browser.get("/static/console.css").status == 200


def test_the_token_opens_the_console_for_its_session_alone(browse, busy):
    browser = browse(busy, token=TOKEN)
    fields = {"csrf": browser.csrf("/sign-in"), "token": TOKEN}

    assert browser.post("/sign-in", fields).status == 303
    assert browser.get("/").status == 200

    stolen = browser.cookies["movierec_access"]
    stranger = browse(busy, token=TOKEN)
    stranger.get("/sign-in")
    stranger.cookies["movierec_access"] = stolen
    assert stranger.get("/").status == 303


def test_a_wrong_token_is_refused(browse, busy):
    browser = browse(busy, token=TOKEN)

    found = browser.post("/sign-in", {"csrf": browser.csrf("/sign-in"), "token": "x" * 32})

    assert found.status == 403
    assert "That is not the token." in found.words
    assert browser.get("/").status == 303


def test_signing_in_is_no_form_of_another_site(browse, busy):
    browser = browse(busy, token=TOKEN)
    browser.get("/sign-in")

    assert browser.post("/sign-in", {"token": TOKEN}).status == 403
    assert browser.get("/").status == 303


def test_cookies_are_for_no_script_and_no_other_site(browse, busy):
    found = browse(busy).get("/")

    assert found.header("set-cookie").startswith("movierec_session=")
    assert "HttpOnly; SameSite=Strict" in found.header("set-cookie")
