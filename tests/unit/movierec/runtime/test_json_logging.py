import json
import logging

from movierec.runtime.json_logging import JsonLines


def formatted(**kwargs):
    record = logging.makeLogRecord({"name": "proxy", "msg": "batch_stored", **kwargs})
    return json.loads(JsonLines().format(record))


def test_an_event_carries_its_facts_beside_its_name():
    line = formatted(levelname="INFO", events=3, created=0.0)
    assert line == {
        "time": "1970-01-01T00:00:00.000+00:00",
        "level": "INFO",
        "logger": "proxy",
        "event": "batch_stored",
        "events": 3,
    }


def test_a_traceback_stays_on_the_line():
    try:
        int("broken")
    except ValueError as exc:
        line = formatted(exc_info=(type(exc), exc, exc.__traceback__))
    assert "ValueError: invalid literal" in line["exception"]
