"""Which Python is found, asked of programs that answer as one would."""

from pathlib import Path

import pytest

from lambda_process_executor.error_responses import ExecutorError
from lambda_process_executor.python_interpreters import find, probe


def python(folder: Path, version: str, name: str = "python") -> Path:
    """Make a program that answers the probe as a Python with awslambdaric would."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    said = [version, "/packages", folder, program]
    program.write_text("#!/bin/sh\n" + "".join(f"echo {line}\n" for line in said))
    program.chmod(0o755)
    return program


def test_the_named_interpreter_comes_first(tmp_path: Path) -> None:
    named = python(tmp_path / "named", "3.13")
    python(tmp_path / "path", "3.13", "python3.13")
    env = {"LAMBDA_PROCESS_PYTHON_3_13": str(named), "PATH": str(tmp_path / "path")}
    found = find("python3.13", env)
    assert (found.executable, found.packages) == (named, Path("/packages"))


def test_path_comes_next(tmp_path: Path) -> None:
    on_path = python(tmp_path, "3.13", "python3.13")
    assert find("python3.13", {"PATH": str(tmp_path)}).executable == on_path


def test_a_named_one_of_another_version_is_refused(tmp_path: Path) -> None:
    env = {"LAMBDA_PROCESS_PYTHON_3_13": str(python(tmp_path, "3.12"))}
    with pytest.raises(ExecutorError, match=r"is Python 3\.12, not 3\.13"):
        find("python3.13", env)


def test_a_named_one_that_is_not_there_is_refused(tmp_path: Path) -> None:
    env = {"LAMBDA_PROCESS_PYTHON_3_13": str(tmp_path / "none")}
    with pytest.raises(ExecutorError, match="not a Python that has awslambdaric"):
        find("python3.13", env)


def test_when_none_fits_the_message_names_the_variable() -> None:
    with pytest.raises(ExecutorError, match="set LAMBDA_PROCESS_PYTHON_3_9 to its path"):
        find("python3.9", {})


def test_other_languages_are_refused() -> None:
    with pytest.raises(ExecutorError, match=r"nodejs22\.x: only Python"):
        find("nodejs22.x", {})


def test_a_program_that_fails_is_no_interpreter(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    assert probe(program) is None
