import inspect

from movierec import errors


def tree():
    return [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.MovierecError)
    ]


def test_every_error_is_drawn_in_the_tree_at_the_top_of_the_module():
    drawn = errors.__doc__
    assert [kind.__name__ for kind in tree() if kind.__name__ not in drawn] == []


def test_every_error_ends_the_command_with_a_code_of_its_family():
    assert {kind.exit_code for kind in tree()} == {1, 2, 3}
