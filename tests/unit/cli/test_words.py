import pytest

from movierec.cli import words


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
    [line] = words.fact(name, value)
    assert line.endswith(f" {expected}")


def test_a_canary_takes_a_line_more():
    routing = {"stable": "1", "canary": "2", "canary_percent": 10.0, "models": {"1": "a", "2": "b"}}
    first, second = words.fact("routing", routing)
    assert first.startswith("routing ")
    assert second.startswith(" ")


def test_each_version_is_told_with_its_share_and_its_model():
    routing = {
        "stable": "1",
        "canary": "2",
        "canary_percent": 12.5,
        "models": {"1": "20261120T101500Z-a-b", "2": "20261121T101500Z-a-c"},
    }
    assert words.routing(routing) == [
        "version 1: 87.5%, 20261120T101500Z-a-b",
        "version 2: 12.5%, 20261121T101500Z-a-c (canary)",
    ]


def test_a_stable_version_alone_has_everybody():
    routing = {"stable": "3", "canary": None, "canary_percent": 0.0, "models": {"3": None}}
    assert words.routing(routing) == ["version 3: everybody, the newest model"]
