"""Says what is new about the site's clock: an offset, a jump, a zone that lines contradict."""

import logging
from datetime import datetime

from ingest_worker.meter import Meter
from movierec.lake.site_clock import SiteClock, contradiction, describe

log = logging.getLogger(__name__)

# More than a producer's delay; less, and a list would be judged by what was watched before it.
_DRIFT_S = 30.0


class SiteClockWatch:
    """Watches the clock of a topic's site, for the log and the meter."""

    def __init__(self, topic: str, clock: SiteClock, meter: Meter) -> None:
        self._topic = topic
        self._clock = clock
        self._meter = meter
        self._minutes = clock.found.minutes if clock.found else None
        self._wrong = ""

    def check(self, now: datetime) -> None:
        """Log what has changed since the last check, and have the meter show how it is."""
        found, wrong = self._clock.found, self._what_is_wrong(now)
        if found is not None and found.minutes != self._minutes:
            facts = {"topic": self._topic, "minutes": found.minutes, "before": self._minutes}
            log.warning("site_clock_offset", extra={**facts, "share": found.share})
            self._minutes = found.minutes
        if wrong and not self._wrong:
            log.error("site_clock_wrong", extra={"topic": self._topic, "error": wrong})
        self._wrong = wrong
        self._meter.site_clock(self._topic, describe(self._clock, wrong))

    def _what_is_wrong(self, now: datetime) -> str:
        found = self._clock.found
        if found is not None and abs(found.lateness_s) > _DRIFT_S:
            late = "behind" if found.lateness_s > 0 else "ahead of"
            return f"the site's clock is {abs(found.lateness_s):.0f} s {late} the records' times"
        return contradiction(self._clock, now)
