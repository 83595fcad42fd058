"""The set-up's machinery on a real file system, with steps and servers made for the test."""

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
import time
import zipfile
from functools import partial
from pathlib import Path

import psutil
import pytest

from tools import terraform
from tools.environment import clean
from tools.work import Problem, Step, Workshop, perform_all

ROOT = Path(__file__).parents[2]

# Two steps of which the second, when first done, waits to be killed half way.
KILLED = """
import sys, time
from pathlib import Path
from tools.work import Step, Workshop, only_one, perform_all
root = Path(sys.argv[1])
half = root / "half"
def second():
    if not half.exists():
        half.touch()
        nap = "import time; time.sleep(" + sys.argv[2] + "); open('slept', 'w')"
        shop.run("second", [sys.executable, "-c", nap])
    (root / "second").touch()
def first():
    with (root / "first").open("a") as file:
        file.write("x")
steps = [Step("first", first, outputs=[root / "first"]),
         Step("second", second, outputs=[root / "second"], needs=["first"])]
shop = Workshop(root, {"PATH": "/usr/bin:/bin"})
with only_one(root / "lock", print) as shop.lock_fd:
    perform_all(steps, shop, print)
"""


@pytest.fixture
def shop(tmp_path):
    return Workshop(tmp_path, clean(os.environ))


class Counted:
    """A step that counts how often it was done, and makes the file of its name."""

    def __init__(self, folder, name, **settings):
        self.count = 0
        self.output = folder / name
        self.step = Step(name, self.build, outputs=[self.output], **settings)

    def build(self):
        self.count += 1
        self.output.write_text("made")


def quiet(_line):
    """Say nothing."""


def no_work():
    """Do nothing."""


def test_a_second_run_does_nothing(shop, tmp_path):
    work = Counted(tmp_path, "a")
    assert perform_all([work.step], shop, quiet) == 1
    assert perform_all([work.step], shop, quiet) == 0
    assert work.count == 1


def test_a_changed_input_does_a_step_again_and_what_builds_upon_it(shop, tmp_path):
    lock = tmp_path / "lock.txt"
    lock.write_text("one")
    base = Counted(tmp_path, "base", inputs=[lock])
    above = Counted(tmp_path, "above", needs=["base"])
    beside = Counted(tmp_path, "beside", after=["base"])
    steps = [base.step, above.step, beside.step]
    perform_all(steps, shop, quiet)
    lock.write_text("two")
    perform_all(steps, shop, quiet)
    assert (base.count, above.count, beside.count) == (2, 2, 1)


def test_a_missing_output_does_a_step_again(shop, tmp_path):
    base, above = Counted(tmp_path, "base"), Counted(tmp_path, "above", needs=["base"])
    perform_all([base.step, above.step], shop, quiet)
    base.output.unlink()
    perform_all([base.step, above.step], shop, quiet)
    assert (base.count, above.count) == (2, 2)


def test_a_failed_step_is_done_again_and_the_others_are_not(shop, tmp_path):
    def fail():
        raise Problem("no network")

    good = Counted(tmp_path, "good")
    with pytest.raises(Problem, match="no network"):
        perform_all([good.step, Step("bad", fail)], shop, quiet)
    mended = Counted(tmp_path, "bad")
    assert perform_all([good.step, mended.step], shop, quiet) == 1
    assert (good.count, mended.count) == (1, 1)


def test_a_step_that_makes_nothing_is_a_problem(shop, tmp_path):
    with pytest.raises(Problem, match="finished without"):
        perform_all([Step("a", no_work, outputs=[tmp_path / "a"])], shop, quiet)


def test_a_missing_lock_file_is_named(shop, tmp_path):
    with pytest.raises(Problem, match=r"lock\.txt is missing"):
        perform_all([Step("a", no_work, [tmp_path / "lock.txt"])], shop, quiet)


def test_a_failing_command_is_one_line_and_its_log_is_kept(shop):
    code = "import sys; sys.stderr.write('long story\\nlast word\\n'); sys.exit(1)"
    with pytest.raises(Problem, match=r"^step: last word \(all of it: ") as caught:
        shop.run("step", [sys.executable, "-c", code])
    assert "\n" not in str(caught.value)
    assert "long story" in (shop.tools / "logs" / "step.log").read_text()


def test_a_program_that_is_not_there_is_one_line(shop):
    with pytest.raises(Problem, match="cannot run /no/such/program"):
        shop.run("step", ["/no/such/program"])


def test_a_run_killed_half_way_is_repaired_by_the_next(tmp_path):
    """And the next waits until what the killed one started is over, so that they do not mix."""
    command = [sys.executable, "-c", KILLED, str(tmp_path), "1.5"]
    killed = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    while not psutil.Process(killed.pid).children():
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "waiting" in said
    assert (tmp_path / "slept").exists()
    assert (tmp_path / "first").read_text() == "x"
    assert (tmp_path / "second").exists()


def test_two_at_once_do_the_work_once(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path), "0.5"]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [each.wait() for each in both] == [0, 0]
    assert (tmp_path / "first").read_text() == "x"


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
    with pytest.raises(Problem, match="SHA-256"):
        install(tmp_path, release.as_uri())
    assert not (tmp_path / "bin" / "terraform").exists()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "file:///no/such", "nonsense"])
def test_releases_that_cannot_be_reached_are_named(tmp_path, url):
    with pytest.raises(Problem, match=terraform.URL_VARIABLE) as caught:
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
