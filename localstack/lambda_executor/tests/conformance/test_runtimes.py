"""Runtimes that cannot be had here are refused by name, when the function is created."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Emulator


def reason(emulator: "Emulator", name: str, **settings: object) -> str:
    """Create a function that cannot be run, and return the StateReason that it ends with."""
    client = emulator.client("lambda")
    role = "arn:aws:iam::000000000000:role/lambda"
    client.create_function(FunctionName=name, Role=role, **settings)

    def failed() -> str:
        found = client.get_function_configuration(FunctionName=name)
        return str(found["StateReason"]) if found["State"] == "Failed" else ""

    emulator.wait(failed, "the function has failed")
    return failed()


@pytest.mark.parametrize(
    "identifier", ["nodejs22.x", "java21", "dotnet8", "ruby3.3", "provided.al2023"]
)
def test_another_language_is_refused_with_what_is_supported(
    emulator: "Emulator", identifier: str
) -> None:
    """AWS has these runtimes and this has Python: State Failed, and a reason that says so.

    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
    """
    name = identifier.replace(".", "-")
    code = {"ZipFile": emulator.archive({"a.js": ""})}
    said = reason(emulator, name, Runtime=identifier, Handler="a.b", Code=code)
    assert f"runtime {identifier}: only Python functions can run without Docker" in said
    assert "supported here: python3.13" in said


def test_a_python_that_is_not_on_the_machine_is_refused(emulator: "Emulator") -> None:
    """The reason names the variable that an interpreter of that version is given by.

    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
    """
    code = {"ZipFile": emulator.archive({"app.py": ""})}
    said = reason(emulator, "old", Runtime="python3.9", Handler="app.handler", Code=code)
    assert "no Python 3.9 with awslambdaric on PATH" in said
    assert "LAMBDA_PROCESS_PYTHON_3_9" in said


def test_a_container_image_is_refused(emulator: "Emulator") -> None:
    """AWS runs container images and this does not: State Failed, and a reason that says so.

    https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
    """
    image = {"ImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/app:latest"}
    said = reason(emulator, "image", PackageType="Image", Code=image)
    assert "container images cannot run without Docker" in said


def test_python_runs_on_its_own_version(emulator: "Emulator") -> None:
    """The runtime python3.13 is Python 3.13, with boto3 in it.

    https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html
    """
    code = (
        "import boto3, sys\ndef handler(e, c):\n"
        "    return [*sys.version_info[:2], boto3.__name__]\n"
    )
    emulator.create("version", code)
    assert emulator.invoke("version").payload == [3, 13, "boto3"]
