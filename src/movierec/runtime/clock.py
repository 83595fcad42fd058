"""The real clock."""

from datetime import UTC, datetime


class SystemClock:
    """`movierec.ports.Clock` on the machine's time."""

    def now(self) -> datetime:
        """Return the present, aware, in UTC."""
        return datetime.now(UTC)
