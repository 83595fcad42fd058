"""Structured logs: one JSON object a line, with an event's name and its fields."""

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

PARTITIONS_TAKEN: Final = "partitions_taken"
"""The ingest worker's event that `movierec up` waits for: from here on, lines reach the lake."""

# A LogRecord's own attributes; all others come from `extra`.
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


def contains_event(path: Path, event: str) -> bool:
    """Return whether a log in this format, which may be growing, contains an event."""
    wanted = f'"event": {json.dumps(event)}'
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            return any(wanted in line for line in lines)
    except FileNotFoundError:
        return False


def to_stderr(*packages: str, level: int = logging.INFO) -> None:
    """Send the process's logs to standard error; packages not named here log from WARNING up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for package in ("movierec", "__main__", *packages):
        logging.getLogger(package).setLevel(level)
