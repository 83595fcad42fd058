from dataclasses import replace
from pathlib import Path

from lambda_process_executor.environment_variables import function_environment
from lambda_process_executor.path_layout import AWS_SCRATCH, Layout

PLACE = Layout(
    task=Path("/t"),
    layers=None,
    runtime=Path("/r"),
    scratch=Path("/s"),
    python=Path("/p/python"),
    bootstrap=Path("/b"),
)


def environment(
    given: dict[str, object] | None = None,
    own: dict[str, str] | None = None,
    layout: Layout = PLACE,
) -> dict[str, str]:
    return function_environment(
        given or {}, own or {}, layout, runtime="python3.13", api="127.0.0.1:9"
    )


def test_the_folders_of_aws_are_named() -> None:
    env = environment()
    assert env["LAMBDA_TASK_ROOT"] == "/t"
    assert env["LAMBDA_RUNTIME_DIR"] == "/r"
    assert env["TMPDIR"] == "/s"
    assert env["LD_LIBRARY_PATH"] == "/t:/t/lib"
    assert env["PATH"] == "/p:/usr/local/bin:/usr/bin:/bin"
    assert env["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"


def test_only_another_folder_than_tmp_has_to_be_named() -> None:
    assert "TMPDIR" not in environment(layout=replace(PLACE, scratch=AWS_SCRATCH))


def test_layers_come_before_the_runtime_and_after_the_code() -> None:
    env = environment(layout=replace(PLACE, layers=Path("/o")))
    assert env["PYTHONPATH"] == "/o/python/lib/python3.13/site-packages:/o/python:/r"
    assert env["LD_LIBRARY_PATH"] == "/t:/t/lib:/o/lib"
    assert env["PATH"].endswith(":/o/bin")


def test_every_value_is_a_text_and_internal_names_are_dropped() -> None:
    env = environment({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": 128, "LOCALSTACK_RUNTIME_ID": "x"})
    assert env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "128"
    assert "LOCALSTACK_RUNTIME_ID" not in env


def test_a_functions_own_variables_win_over_all_but_the_reserved() -> None:
    own = {"PATH": "/mine", "AWS_LAMBDA_RUNTIME_API": "evil:1", "LAMBDA_TASK_ROOT": "/evil"}
    env = environment(own=own)
    assert env["PATH"] == "/mine"
    assert env["AWS_LAMBDA_RUNTIME_API"] == "127.0.0.1:9"
    assert env["LAMBDA_TASK_ROOT"] == "/t"


def test_the_home_of_who_started_the_emulator_is_out_of_reach() -> None:
    assert environment()["HOME"] == "/s"
