"""Terminal output: progress bars (plain lines in a log), and results as text or JSON."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bars
from rich.status import Status
from rich.text import Text

from movierec.stack.progress import Progress, Step

# Progress goes to standard error, so that standard output holds the result alone.
_STDERR = Console(stderr=True, highlight=False)
STDOUT = Console(highlight=False)

CHECK = ("✓", "green")
CROSS = ("✗", "red")


@dataclass(frozen=True, slots=True)
class _Bar:
    """The progress bar of one step."""

    bars: Bars
    task: TaskID
    name: str

    def update(
        self, done: float | None = None, total: float | None = None, note: str | None = None
    ) -> None:
        """Update the bar."""
        self.bars.update(self.task, completed=done, total=total)
        if note is not None:
            self.bars.update(self.task, note=note)


@dataclass(slots=True)
class Rows:
    """Progress bars of the running steps; each leaves one line behind when it ends."""

    bars: Bars
    over: bool = False

    def begin(self, name: str) -> Step:
        """Add a bar."""
        return _Bar(self.bars, self.bars.add_task(name, total=None, note=""), name)

    def end(self, step: Step, seconds: float, error: BaseException | None) -> None:
        """Replace the bar by a line."""
        if isinstance(step, _Bar) and not self.over:
            self.bars.remove_task(step.task)
            mark = CHECK if error is None else CROSS
            took = (f" {seconds:.1f} s", "dim")
            self.bars.console.print(Text.assemble(mark, f" {step.name}", took))

    def close(self) -> None:
        """Print nothing for steps that end after their command has failed.

        The command's error message stays the last line.
        """
        self.over = True


class _CountColumn(MofNCompleteColumn):
    """Done of total, where there is a total."""

    def render(self, task: Any) -> Any:  # noqa: ANN401  rich's own types
        """Return nothing for a step that only spins."""
        return super().render(task) if task.total else TextColumn("").render(task)


@contextmanager
def progress() -> Iterator[Progress]:
    """Show the steps of a command while the block runs."""
    with Bars(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        _CountColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
        console=_STDERR,
        transient=True,
        # Elsewhere bars are noise: each step leaves a line behind.
        disable=not _STDERR.is_terminal,
    ) as bars:
        rows = Rows(bars)
        try:
            yield Progress(rows)
        finally:
            rows.close()


@dataclass(frozen=True, slots=True)
class Ticker:
    """Permanent lines above a status that changes in place; only the lines without a terminal."""

    status: Status

    def add_line(self, text: str) -> None:
        """Add a permanent line."""
        print_note(text)

    def update(self, text: str) -> None:
        """Replace the status."""
        self.status.update(Text(text))


@contextmanager
def ticker() -> Iterator[Ticker]:
    """Show a ticker on standard error while the block runs."""
    with _STDERR.status("") as status:
        yield Ticker(status)


def print_line(*parts: str | tuple[str, str]) -> None:
    """Print a line of the result without wrapping; a part is a text, or a text with its style.

    Markup is not interpreted: movie ids may contain what rich takes for it.
    """
    STDOUT.print(Text.assemble(*parts), soft_wrap=True)


def print_json(value: Mapping[str, Any] | list[Any]) -> None:
    """Print the result as JSON on standard output."""
    json.dump(value, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def print_note(text: str) -> None:
    """Print a remark on standard error, above the bars."""
    _STDERR.print(Text(text), soft_wrap=True)


def print_error(text: str) -> None:
    """Print an error message on standard error, on one line."""
    if text:
        _STDERR.print(Text.assemble(("movierec: ", "red"), one_line(text)), soft_wrap=True)


def one_line(text: str) -> str:
    """Return a message on one line: its first, and the last of a log that it quotes."""
    first, *rest = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    return f"{first} {rest[-1]}" if rest else first
