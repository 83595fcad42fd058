"""How Terraform's messages become progress, and its failures one line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.errors import ConfigError, UnavailableError, UsageError
from movierec.stack.deploy import terraform
from movierec.stack.deploy.terraform import Progress, advance

LOG = Path("var/default/logs/terraform.log")
ROLE = "module.platform.module.api.aws_iam_role.this"


def test_nothing_is_ready_before_the_plan_is_made():
    assert not Progress(found=frozenset({ROLE})).is_ready(ROLE)


def test_an_address_is_no_prefix_of_a_longer_name():
    seen = Progress(planned=True, done=frozenset({"module.api_gateway.aws_iam_role.this"}))

    with pytest.raises(UsageError):
        seen.is_ready("module.api")


@given(st.dictionaries(st.text(), st.recursive(st.text() | st.none(), st.lists)))
def test_messages_of_an_unknown_kind_change_nothing(message):
    assert advance(Progress(), message) == Progress()


@pytest.mark.parametrize(
    ("summary", "kind", "remedy"),
    [
        ("dial tcp 127.0.0.1:4566: connect: connection refused", UnavailableError, "status"),
        ("Error acquiring the state lock", UnavailableError, "wait"),
        ("Failed to query available provider packages", ConfigError, "make setup"),
        ("Required plugins are not installed", ConfigError, "make setup"),
        ("Invalid value for variable", ConfigError, "log"),
    ],
)
def test_a_failure_says_what_next(summary, kind, remedy):
    error = terraform.failure("apply", ["first", summary][-1:], LOG)

    assert isinstance(error, kind)
    assert remedy in str(error)


def test_a_failure_without_a_word_still_points_to_the_log():
    assert str(LOG) in str(terraform.failure("init", [], LOG))
