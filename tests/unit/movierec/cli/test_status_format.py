import pytest

from movierec.cli import status_format


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("events", {"total": 1200, "rate": 200, "watch": 1000}, "1,200 (rate 200, watch 1,000)"),
        ("events", {"total": 0}, "0"),
        ("quarantined", 37, "37"),
        ("ingest_lag_lines", "unknown: no answer", "unknown: no answer"),
        ("newest_model", None, "none"),
        ("routing", None, "none"),
    ],
)
def test_a_fact_takes_a_line(name, value, expected):
    [line] = status_format.fact(name, value)
    assert line.endswith(f" {expected}")


def test_a_canary_takes_a_line_more():
    split = {"stable": "1", "canary": "2", "canary_percent": 10.0, "models": {"1": "a", "2": "b"}}
    first, second = status_format.fact("routing", split)
    assert first.startswith("routing ")
    assert second.startswith(" ")


def test_each_version_is_told_with_its_share_and_its_model():
    split = {
        "stable": "1",
        "canary": "2",
        "canary_percent": 12.5,
        "models": {"1": "20261120T101500Z-a-b", "2": "20261121T101500Z-a-c"},
    }
    assert status_format.split(split) == [
        "version 1: 87.5%, 20261120T101500Z-a-b",
        "version 2: 12.5%, 20261121T101500Z-a-c (canary)",
    ]


def test_a_stable_version_alone_has_everybody():
    split = {"stable": "3", "canary": None, "canary_percent": 0.0, "models": {"3": None}}
    assert status_format.split(split) == ["version 3: everybody, the newest model"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1, "0 s"), (0.4, "0 s"), (59.9, "59 s"), (95, "1 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_an_age_is_told_in_its_largest_whole_unit(seconds, said):
    assert status_format.age(seconds) == said


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"generation": 0, "saved_at_s": None, "unsaved": ["s3"]}, "nothing saved yet"),
        ({"generation": 12, "saved_at_s": 96.0, "unsaved": []}, "generation 12, 4 s old"),
        (
            {"generation": 2, "saved_at_s": 40.0, "unsaved": ["lambda", "sns"], "lost": ["sqs"]},
            "generation 2, 1 min old; unsaved lambda, sns; lost sqs",
        ),
    ],
)
def test_the_state_on_the_disk_is_told_with_its_age_and_what_it_lacks(found, said):
    assert status_format.state({"lost": [], **found}, now_s=100.0) == said


@pytest.mark.parametrize(
    ("restarts", "said"),
    [
        (0, ""),
        (1, "died and was restarted once, last 30 s ago"),
        (3, "died and was restarted 3 times, last 30 s ago"),
    ],
)
def test_a_part_that_died_says_so(restarts, said):
    assert status_format.restarts({"restarts": restarts, "started_at_s": 70.0}, now_s=100.0) == said


def test_lines_that_wait_are_told_with_what_the_site_knew_or_why_it_does_not_answer():
    quiet = {
        "lines": 0,
        "admitted": 0,
        "movies_found": 0,
        "movies_unknown": 0,
        "users_found": 0,
        "users_unknown": 0,
        "site_failure": "",
    }
    assert status_format.waiting({}) == status_format.waiting(quiet) == []
    [known] = status_format.waiting(quiet | {"lines": 1200, "movies_found": 3, "users_unknown": 1})
    assert known.startswith("1,200 lines wait")
    assert "knew 3 movies and 0 users, and did not know 0 and 1" in known
    [silent] = status_format.waiting(quiet | {"lines": 2, "site_failure": "no answer"})
    assert silent.endswith("the site does not answer: no answer")
