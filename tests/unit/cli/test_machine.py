import pytest

from movierec.cli.machine import fault, lines


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
    [line] = lines(name, value)
    assert line.endswith(f" {expected}")


def test_a_canary_takes_a_line_more():
    routing = {"stable": "1", "canary": "2", "canary_percent": 10.0, "models": {"1": "a", "2": "b"}}
    first, second = lines("routing", routing)
    assert first.startswith("routing ")
    assert second.startswith(" ")


def condition(**parts):
    return {"run": "mine", "parts": {n: {"running": r, "up": u} for n, (r, u) in parts.items()}}


def test_what_is_down_is_named_with_what_starts_it():
    said = fault(condition(kafka=(False, False), ingest=(False, False), proxy=(True, True)))
    assert said == "run mine: kafka down, ingest down: `movierec up`"


def test_what_hangs_has_to_be_stopped_first():
    said = fault(condition(proxy=(True, False)))
    assert "proxy silent: `movierec down`, then `movierec up`" in said
