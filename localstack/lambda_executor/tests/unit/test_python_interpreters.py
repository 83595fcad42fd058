from lambda_process_executor.python_interpreters import variable_for


def test_the_variable_follows_the_version() -> None:
    assert variable_for("3.14") == "LAMBDA_PROCESS_PYTHON_3_14"
