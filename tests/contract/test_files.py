"""Writing a file whole, on a real file system."""

import stat
import threading

import pytest

from movierec import files


def test_a_reader_never_sees_a_part(tmp_path):
    path = tmp_path / "file"
    texts = [letter * 200_000 for letter in "ab"]
    files.write_whole(path, texts[0])
    done = threading.Event()
    seen = set()

    def read():
        while not done.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(50):
        files.write_whole(path, texts[number % 2], durable=False)
    done.set()
    reader.join()
    assert seen <= set(texts)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    files.write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        files.write_whole(path, "no UTF-8: \udc80")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.write_whole(tmp_path / "none" / "file", "text")


def test_a_private_file_is_its_owners_even_in_place_of_an_open_one(tmp_path):
    path = tmp_path / "file"
    path.touch(0o644)
    files.write_whole(path, "secret", mode=files.PRIVATE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
