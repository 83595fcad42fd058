"""Whether functions can have AWS's paths is tried, not guessed."""

from dataclasses import replace
from pathlib import Path

import pytest

from lambda_process_executor.path_layout import SWITCH, aws_layout_works
from lambda_process_executor.python_interpreters import find


def test_an_interpreter_that_does_not_start_there_leaves_this_machines_paths(
    runtime: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = find("python3.13", {"LAMBDA_PROCESS_PYTHON_3_13": str(runtime)})
    without_client = replace(found, packages=tmp_path)
    assert not aws_layout_works(without_client, {})
    assert not aws_layout_works(without_client, {})
    [record] = caplog.records
    assert "functions see this machine's paths" in record.getMessage()


def test_the_switch_leaves_this_machines_paths(runtime: Path) -> None:
    found = find("python3.13", {"LAMBDA_PROCESS_PYTHON_3_13": str(runtime)})
    assert not aws_layout_works(found, {SWITCH: "0"})
