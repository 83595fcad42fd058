"""The containers' files: no Docker engine is here, so what can be checked without one is."""

import re
import subprocess
import sys

import pytest

from tests.packaging.toy_checkout import PROJECT

FOLDER = PROJECT.root / "containers"
PARTS = sorted(path.name.removesuffix(".Dockerfile") for path in FOLDER.glob("*.Dockerfile"))
PINNED = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


def dockerfile(part):
    return (FOLDER / f"{part}.Dockerfile").read_text("utf-8")


def lock(name):
    return (PROJECT.root / "requirements" / f"{name}.txt").read_text("utf-8")


def test_what_is_no_lambda_has_a_container():
    assert set(PARTS) == {"proxy", "ingest_worker", "console"}


@pytest.mark.parametrize("part", PARTS)
def test_a_container_has_the_versions_that_the_tests_ran_on(part):
    own, tested = dict(PINNED.findall(lock(part))), dict(PINNED.findall(lock("project")))
    assert own
    assert own.items() <= tested.items()


@pytest.mark.parametrize("part", PARTS)
def test_each_package_of_a_lock_has_a_hash(part):
    text = lock(part)
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(PINNED.findall(text))
    assert all("--hash=sha256:" in entry for entry in entries)


@pytest.mark.parametrize("part", PARTS)
def test_what_a_container_copies_is_there_and_let_through(part):
    copied = re.findall(r"^COPY (?!--from)(\S+) ", dockerfile(part), re.MULTILINE)
    ignored = (PROJECT.root / ".dockerignore").read_text("utf-8").splitlines()
    assert copied
    for name in copied:
        assert (PROJECT.root / name).exists()
        assert f"!{name}" in ignored or (name.endswith(".txt") and "!requirements/*.txt" in ignored)


@pytest.mark.parametrize("part", PARTS)
def test_a_container_is_small_has_no_root_and_says_how_it_is(part):
    text = dockerfile(part)
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"python:3.13-slim"}
    assert text.index("USER movierec") < text.index("ENTRYPOINT")
    assert re.search(r"^HEALTHCHECK .*\n.*127\.0\.0\.1:\d+/healthz", text, re.MULTILINE)


@pytest.mark.parametrize("part", PARTS)
def test_a_container_starts_with_arguments_that_its_part_takes(part):
    entry, *rest = re.findall(r"^(?:ENTRYPOINT|CMD) (\[.*\])$", dockerfile(part), re.MULTILINE)
    words = [word for line in (entry, *rest) for word in re.findall(r'"([^"]+)"', line)]
    assert words[:3] == ["python", "-m", part]
    run = subprocess.run(
        [sys.executable, *words[1:], "--help"],
        cwd=PROJECT.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert all(word.split("=")[0] in run.stdout for word in words[3:])
