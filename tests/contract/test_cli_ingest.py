"""`movierec ingest` as a command: on files and pipes, with a command's words and exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOVIEREC = Path(sys.executable).parent / "movierec"
LINES = "".join(
    f"2026-09-14T10:20:{n:02},{n + 1},GET /rate/harbour+of+glass+1987={6 + n % 5}\n"
    for n in range(60)
)


def ingest(*arguments, folder=ROOT, given="", **variables):
    return subprocess.run(
        [MOVIEREC, "ingest", *arguments],
        cwd=folder,
        env={**os.environ, **variables},
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_dump_is_checked_where_it_lies_without_any_run(tmp_path):
    (tmp_path / "dump.log").write_text(LINES)
    # What lies beside it is not imported.
    (tmp_path / "json.py").write_text("raise SystemExit('imported')")
    ended = ingest("check", "dump.log", folder=tmp_path)
    assert (ended.returncode, ended.stderr.splitlines()[1:]) == (0, [])
    assert ended.stdout.splitlines()[0] == "dump.log: 60 lines"
    last = ended.stdout.rstrip().splitlines()[-2:]
    assert last == ["settings:", "export MOVIEREC_MAX_RATING=10  # ratings are 1 to 10"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dump.log", "json.py"]


def test_standard_input_and_the_settings_of_now():
    ended = ingest("check", "-", "--json", given=LINES, MOVIEREC_MAX_RATING="10")
    report = json.loads(ended.stdout)
    assert report["by_kind"] == {"rate": 60}
    assert [one["name"] for one in report["settings"]] == ["MOVIEREC_MAX_RATING"]
    assert ended.returncode == 0


def test_a_catalog_says_which_movies_are_unknown(tmp_path):
    catalog = tmp_path / "movies.jsonl"
    catalog.write_text('{"id":"a+2001","title":"A","runtime":90,"adult":"False"}\n')
    ended = ingest("check", "-", f"--catalog={catalog}", "--json", given=LINES)
    report = json.loads(ended.stdout)
    assert report["movies"]["unknown_examples"] == ["harbour+of+glass+1987"]
    ended = ingest("check", "-", f"--catalog={catalog}", given=LINES)
    assert "1 of them are not among the catalog's 1: harbour+of+glass+1987" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nosuch.log"], "nosuch.log: No such file or directory; name a file"),
        (["src"], "src: Is a directory; name a file"),
        (["README.md", "--catalog=nosuch"], "nosuch: No such file or directory"),
        (["README.md", "--catalog=README.md"], "README.md holds no movie"),
        ([], "see `movierec ingest check --help`"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(arguments, words):
    ended = ingest("check", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_file_that_is_no_log_is_no_failure():
    ended = ingest("check", "-", given='{"id":"a+2001","title":"A"}\n')
    assert ended.returncode == 0
    assert "an export of movies: give it as --catalog" in ended.stdout


@pytest.mark.data
def test_the_real_lines(data_folder):
    ended = ingest("check", str(data_folder / "movielog_examples.txt"), "--json")
    found = json.loads(ended.stdout)
    assert found["by_kind"] == {"watch": 17, "recommend": 8, "rate": 7, "create_account": 1}
    assert sum(found["by_reason"].values()) == found["lines"] - 33
    assert found["ratings"]["scale"] == [1, 10]
    assert (found["users"]["largest"], found["users"]["beyond"]) == (6_597_125, 1)
