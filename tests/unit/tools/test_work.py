from pathlib import Path

import pytest

from tools.work import Step, explain, key


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("error: Failed to fetch\n cause: dns error: failed to lookup", "no network"),
        ("ERROR: No matching distribution found for uv==1", "package index"),
        ("x: No space left on device (os error 28)", "disk is full"),
        ("error: Hash mismatch for `a==1`\nExpected: sha256", "not what was locked"),
        ("invalid peer certificate: UnknownIssuer", "SSL_CERT_FILE"),
        ("mkdir: Permission denied", "cannot be written"),
        ("first\nsomething else broke\n", "something else broke"),
        ("", "no reason given"),
    ],
)
def test_what_a_program_says_becomes_one_line_on_what_to_do(said, told):
    line = explain(said)
    assert told in line
    assert "\n" not in line


def no_work():
    raise AssertionError


def test_a_step_is_known_by_all_that_goes_into_it():
    step = Step("a", no_work, ["text"], needs=["b"])
    base = key(step, Path("/repo"), {"b": "1"})
    assert key(step, Path("/repo"), {"b": "1"}) == base
    assert key(step, Path("/moved"), {"b": "1"}) != base
    assert key(step, Path("/repo"), {"b": "2"}) != base
    assert key(Step("a", no_work, ["other"], needs=["b"]), Path("/repo"), {"b": "1"}) != base
