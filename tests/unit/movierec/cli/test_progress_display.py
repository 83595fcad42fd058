import io

import pytest
from rich.console import Console
from rich.progress import Progress as Bars

from movierec.cli import progress_display
from movierec.stack.progress import Progress


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one line", "one line"),
        ("it died; its log ends:\n  starting\n\n  no bucket\n", "it died; its log ends: no bucket"),
        ("", ""),
    ],
)
def test_a_message_takes_one_line(text, expected):
    assert progress_display.one_line(text) == expected


@pytest.mark.parametrize("text", ["[red]x[/]", "trailing \\", "a :smile: b", "\\[bold]", "x" * 300])
def test_text_is_printed_as_it_is(capsys, text):
    """Ids of movies come from the site, and may look like markup."""
    progress_display.print_line(text)
    progress_display.print_error(text)
    printed = capsys.readouterr()
    assert printed.out == f"{text}\n"
    assert printed.err == f"movierec: {text}\n"


def test_nothing_to_complain_of_prints_nothing(capsys):
    progress_display.print_error("")
    assert capsys.readouterr().err == ""


def test_off_a_terminal_each_step_leaves_one_line_and_no_more(capsys):
    with progress_display.progress() as progress, progress.step("first"):
        pass
    with pytest.raises(KeyError), progress_display.progress() as progress, progress.step("second"):
        raise KeyError
    assert [line[:8] for line in capsys.readouterr().err.splitlines()] == ["✓ first ", "✗ second"]


def test_a_step_that_ends_after_its_command_says_nothing():
    """The line that says why the command failed is the last one."""
    written = io.StringIO()
    rows = progress_display.Rows(Bars(console=Console(file=written), disable=True))
    with Progress(rows).step("late"):
        rows.close()
    assert written.getvalue() == ""
