"""The simulator's account in its file: whole, or refused by name."""

import json

import pytest

from movierec.errors import UsageError
from simulator.traffic_ledger import Ledger, LedgerFile


def filled():
    ledger = Ledger()
    ledger.count_lines("watch", 15)
    return ledger


def file_at(path):
    return LedgerFile(path, lambda: "now", {"topic": "movielog1"})


def test_the_file_is_replaced_whole_and_nothing_lies_beside_it(tmp_path):
    path = tmp_path / "run" / "ledger.json"
    file = file_at(path)
    file.write(Ledger(), finished=False)
    file.write(filled(), finished=True)
    found = json.loads(path.read_text())
    assert (found["topic"], found["finished"], found["started_at"]) == ("movielog1", True, "now")
    assert found["lines"]["total"] == 15
    assert [p.name for p in path.parent.iterdir()] == ["ledger.json"]
    assert file_at(path).read() == filled()


def test_without_a_file_the_account_starts_empty(tmp_path):
    assert file_at(tmp_path / "none.json").read() == Ledger()
    assert file_at(None).read() == Ledger()
    file_at(None).write(filled(), finished=True)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"requests": 5, "offsets": {}}'])
def test_a_foreign_file_is_no_ledger(tmp_path, text):
    path = tmp_path / "ledger.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="no ledger"):
        file_at(path).read()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        file_at(tmp_path / "file" / "ledger.json").write(Ledger(), finished=False)
