"""Writing a file whole, on a real file system."""

import stat
import threading

import pytest

from movierec.runtime import atomic_file


def test_a_reader_never_sees_a_part(tmp_path):
    path = tmp_path / "file"
    texts = [letter * 200_000 for letter in "ab"]
    atomic_file.write_whole(path, texts[0])
    done = threading.Event()
    seen = set()

    def read():
        while not done.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(50):
        atomic_file.write_whole(path, texts[number % 2], durable=False)
    done.set()
    reader.join()
    assert seen <= set(texts)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    atomic_file.write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        atomic_file.write_whole(path, "no UTF-8: \udc80")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        atomic_file.write_whole(tmp_path / "none" / "file", "text")


def test_a_private_file_is_its_owners_even_in_place_of_an_open_one(tmp_path):
    path = tmp_path / "file"
    path.touch(0o644)
    atomic_file.write_whole(path, "secret", mode=atomic_file.PRIVATE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
