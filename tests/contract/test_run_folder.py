"""The checkout, a run's folder, its record and its ports, on a real file system."""

import os
import socket
import stat
import threading

import pytest

from movierec.errors import ConfigError, UnavailableError
from movierec.stack import loopback_ports, run_record
from movierec.stack.layout import HOME, Project, find_project


@pytest.fixture
def busy_port():
    with socket.socket() as server:
        server.bind((loopback_ports.HOST, 0))
        server.listen()
        yield server.getsockname()[1]


def checkout(folder, name="movierec"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')
    return folder


def test_the_checkout_is_found_from_any_folder_inside(tmp_path):
    root = checkout(tmp_path / "mine")
    inside = root / "a" / "b"
    inside.mkdir(parents=True)
    assert find_project({}, inside).root == root.resolve()


def test_another_projects_pyproject_on_the_way_up_does_not_count(tmp_path):
    root = checkout(tmp_path)
    inside = checkout(tmp_path / "vendored", "something-else")
    assert find_project({}, inside).root == root.resolve()


def test_outside_any_checkout_the_installed_one_is_taken(tmp_path):
    assert (find_project({}, tmp_path).root / "src" / "movierec").is_dir()


def test_the_home_variable_wins(tmp_path):
    root = checkout(tmp_path / "mine")
    assert find_project({HOME: str(root)}, tmp_path).root == root.resolve()


def test_a_home_that_is_no_checkout_is_named(tmp_path):
    with pytest.raises(ConfigError, match=HOME):
        find_project({HOME: str(tmp_path)}, checkout(tmp_path / "other"))


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "var").write_text("a file where a folder should be")
    with pytest.raises(ConfigError, match="cannot make"):
        Project(tmp_path).run().create()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_run_and_what_is_written_into_it_are_for_their_owner_alone(run):
    """Its settings may hold the password of a Kafka that is not ours."""
    run.folder.chmod(0o755)  # as an earlier version left it
    path = run.folder / "settings.json"
    path.touch(0o644)

    run_record.write_atomically(run.create().folder / path.name, "{}")

    assert (mode(run.folder), mode(path)) == (0o700, 0o600)


def test_a_run_that_only_its_record_has_made_is_private_too(tmp_path):
    run = Project(tmp_path).run("test")
    run_record.update(run, lambda before: before)
    assert (mode(run.folder), mode(run.record)) == (0o700, 0o600)


def test_the_default_run_has_the_well_known_ports(tmp_path):
    assert loopback_ports.ports(Project(tmp_path).run().create()) == loopback_ports.WELL_KNOWN


def test_another_run_gets_free_ports_and_keeps_them(run):
    first = loopback_ports.ports(run)
    assert len(set(first.values())) == len(loopback_ports.WELL_KNOWN)
    assert all(20_000 <= port < 32_768 for port in first.values())
    assert loopback_ports.ports(run) == first


def test_a_port_in_use_is_named_with_who_asks_who_has_it_and_what_next(run, busy_port):
    run_record.update(run, lambda before: before.with_ports({loopback_ports.PROXY: busy_port}))
    with pytest.raises(UnavailableError) as caught:
        loopback_ports.require_free(run, loopback_ports.PROXY)
    message = str(caught.value)
    for part in (str(busy_port), "proxy of run test", f"pid {os.getpid()}", "--run"):
        assert part in message


def test_when_no_port_is_free_it_says_so():
    with pytest.raises(UnavailableError, match="no free port"):
        loopback_ports.free_port(free=lambda _: False)


def test_an_open_port_is_seen(busy_port):
    assert loopback_ports.is_open(busy_port)
    assert not loopback_ports.is_free(busy_port)


def test_a_server_that_does_not_speak_http_does_not_answer(busy_port):
    assert not loopback_ports.answers(busy_port, "/", timeout_s=0.1)


def test_concurrent_writers_of_the_record_lose_nothing(run):
    def add(number):
        run_record.update(run, lambda before: before.with_ports({str(number): number}))

    threads = [threading.Thread(target=add, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(run_record.load(run).ports.values()) == set(range(20))


def test_an_unreadable_record_is_a_sentence(run):
    run.record.write_text("{")
    with pytest.raises(ConfigError, match=r"run\.json cannot be read"):
        run_record.load(run)


def test_a_run_is_held_by_one_command_at_a_time(run):
    with (
        run_record.exclusive(run, "up"),
        pytest.raises(UnavailableError, match=rf"pid {os.getpid()} \(up\)"),
        run_record.exclusive(run, "down"),
    ):
        pytest.fail("held twice")
    with run_record.exclusive(run, "down"):
        pass
