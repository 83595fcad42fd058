import pytest

from tools.failures import explain


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("error: Failed to fetch\n cause: dns error: failed to lookup", "no network"),
        ("ERROR: No matching distribution found for uv==1", "package index"),
        ("x: No space left on device (os error 28)", "disk is full"),
        ("error: Hash mismatch for `a==1`\nExpected: sha256", "not what was locked"),
        ("invalid peer certificate: UnknownIssuer", "SSL_CERT_FILE"),
        ("mkdir: Permission denied", "cannot be written"),
        ("make: *** No rule to make target 'a.txt'.  Stop.", "git checkout"),
        ("+ pip install --no-network\nset-up: terraform: SHA-256 is 0", "terraform: SHA-256 is 0"),
        ("first\nsomething else broke\n", "something else broke"),
        ("", "no reason given"),
    ],
)
def test_what_a_program_says_becomes_one_line_on_what_to_do(said, told):
    line = explain(said)
    assert told in line
    assert "\n" not in line
