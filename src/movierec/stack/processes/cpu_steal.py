"""What of its processors a machine really had: others on the same host take their share."""

import psutil


class Processors:
    """The machine's processors, from when this is made on."""

    def __init__(self) -> None:
        self._began = psutil.cpu_times()

    def stolen_percent(self) -> float:
        """Return the share of processor time that went to other machines (proc(5), "steal")."""
        now = psutil.cpu_times()
        return float(100 * (now.steal - self._began.steal) / (sum(now) - sum(self._began)))
