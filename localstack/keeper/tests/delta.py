"""A Delta table that somebody appends to while the emulator is killed."""

import os
import subprocess
from pathlib import Path

WRITER = Path(__file__).with_name("delta_writer.py")
REPOSITORY = Path(__file__).parents[3]
ROWS = 1000
"""In each commit."""


def python_with_deltalake() -> Path | None:
    """Return an interpreter that has deltalake: `KEEPER_DELTA_PYTHON`, or the repository's."""
    python = Path(os.environ.get("KEEPER_DELTA_PYTHON", REPOSITORY / ".venv/bin/python"))
    command = [str(python), "-c", "import deltalake"]
    has_it = python.exists() and not subprocess.run(command, check=False, env={}).returncode
    return python if has_it else None


class Delta:
    """The table's one writer, and what it was told."""

    def __init__(self, python: Path, home: Path) -> None:
        self.acknowledged = -1
        """The newest version that was acknowledged."""
        self._errors = home / "delta_writer"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [python, WRITER, str(ROWS)], env={"PATH": "/usr/bin:/bin", "HOME": str(home)},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip

    def begin(self, url: str) -> None:
        """Have it append until it cannot."""
        self._ask(f"append {url}")

    def wait_acknowledged(self) -> None:
        """Wait until one more is acknowledged."""
        answer = self._answer()
        assert self._is_acknowledged(answer), answer

    def wait_failed(self) -> None:
        """Wait until it cannot, and take note of what was acknowledged."""
        while self._is_acknowledged(answer := self._answer()):
            pass
        assert answer.startswith("failed"), answer

    def begin_look(self, url: str) -> None:
        """Have it look what is there."""
        self._ask(f"look {url}")

    def check(self) -> None:
        """Compare: what was acknowledged is there, with all before it and at most one more."""
        found, *numbers = self._answer().split()
        assert found == "found"
        version, rows, total = map(int, numbers)
        assert self.acknowledged <= version <= self.acknowledged + 1
        assert rows == ROWS * (version + 1)
        assert total == ROWS * version * (version + 1) // 2
        self.acknowledged = version

    def end(self) -> None:
        """End it."""
        self._process.communicate()

    def _is_acknowledged(self, answer: str) -> bool:
        kind, _, version = answer.partition(" ")
        if kind != "acknowledged":
            return False
        self.acknowledged = int(version)
        return True

    def _ask(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        assert answer, f"the table's writer has ended: {self._errors.read_text()}"
        return answer
