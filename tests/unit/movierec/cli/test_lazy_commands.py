"""The table of commands: complete, and true."""

import pytest

from movierec.cli import lazy_commands


@pytest.mark.parametrize("name", lazy_commands.COMMANDS)
def test_a_command_is_where_the_table_says_and_says_the_same_of_itself(name):
    found = lazy_commands.load(name)
    assert found.name == name
    assert str(found.help).split("\n\n")[0] == lazy_commands.COMMANDS[name].summary
