"""The Terraform code reads like code, and both environments are valid."""

import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "infra" / "terraform"

BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
FILES = sorted(SOURCE.rglob("*.tf"))
BLOCKS = [
    pytest.param(kind, body, id=f"{path.relative_to(SOURCE).parent}:{kind}.{name}")
    for path in FILES
    for kind, name, body in BLOCK.findall(path.read_text(encoding="utf-8"))
]
MODULES = sorted({path.parent for path in FILES})


@pytest.mark.parametrize(("kind", "body"), BLOCKS)
def test_everything_that_goes_in_or_out_is_described(kind, body):
    assert re.search(r'^  description = ".+\."$', body, re.MULTILINE)
    if kind == "variable":  # Terraform has no types for outputs
        assert re.search(r"^  type +=", body, re.MULTILINE)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_module_pins_terraform_and_the_provider(module):
    text = "\n".join(path.read_text(encoding="utf-8") for path in module.glob("*.tf"))

    assert 'required_version = ">= 1.6"' in text
    assert re.search(r'source += "hashicorp/aws"\n +version = "5\.100\.0"', text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_module_builds_what_it_deploys(path):
    text = path.read_text(encoding="utf-8")

    assert not re.search(r"local-exec|null_resource|archive_file|data \"external\"", text)


def test_it_is_formatted(run_terraform):
    done = run_terraform(SOURCE, "fmt", "-check", "-recursive", "-diff")

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("target", ["local", "aws"])
def test_the_environment_is_valid(target, stage, run_terraform, tmp_path):
    """For aws: as far as it can be told without an account."""
    workspace = stage(tmp_path, "local")  # one provider for both
    root = workspace.folder / "envs" / target
    init = run_terraform(root, "init", "-backend=false", "-input=false", env=workspace.env)
    assert init.returncode == 0, init.stderr

    done = run_terraform(root, "validate", "-no-color", env=workspace.env)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout  # nothing deprecated


def test_both_environments_tell_the_same_outputs():
    local, aws = (
        (SOURCE / "envs" / target / "outputs.tf").read_text(encoding="utf-8")
        for target in ("local", "aws")
    )

    assert local == aws
    assert BLOCK.search(local)
