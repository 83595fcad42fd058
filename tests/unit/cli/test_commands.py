"""The table of commands: complete, and true."""

import pytest

from movierec.cli import commands


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_a_command_is_where_the_table_says_and_says_the_same_of_itself(name):
    found = commands.load(name)
    assert found.name == name
    assert str(found.help).split("\n\n")[0] == commands.COMMANDS[name].summary
