"""Structured logs: one JSON object a line, with an event's name and its fields."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

# What a LogRecord carries by itself; everything else came in by `extra`.
_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


class JsonLines(logging.Formatter):
    """Formats `log.info("batch_stored", extra={"events": 3})` as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON, its traceback, if any, in `exception`."""
        facts = {k: v for k, v in record.__dict__.items() if k not in _STANDARD}
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
            **facts,
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event, default=str)


def to_stderr(*packages: str, level: int = logging.INFO) -> None:
    """Send the process's logs to standard error; packages not named here log from WARNING up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for package in ("movierec", "__main__", *packages):
        logging.getLogger(package).setLevel(level)
