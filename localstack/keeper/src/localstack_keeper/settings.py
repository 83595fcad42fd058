"""Settings, from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localstack_keeper.errors import RefusedError


@dataclass(frozen=True)
class Settings:
    """Where state is kept, how often, how hard, and how much of what grows for ever."""

    folder: Path
    interval_s: float
    sync: bool
    log_events: int | None = None
    """Of each log group, the newest; None is all."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings | None":
        """Return the settings, None without KEEPER_FOLDER. Raises RefusedError for a bad one."""
        folder = environ.get("KEEPER_FOLDER", "")
        if not folder:
            return None
        sync = environ.get("KEEPER_SYNC", "1")
        if sync not in ("0", "1"):
            raise RefusedError(f"KEEPER_SYNC is {sync!r}: set it to 0 or 1")
        return cls(Path(folder).absolute(), _interval_s(environ), sync == "1", _log_events(environ))


def _interval_s(environ: Mapping[str, str]) -> float:
    text = environ.get("KEEPER_INTERVAL_S", "5")
    try:
        interval_s = float(text)
    except ValueError:
        interval_s = 0
    if not 0 < interval_s < float("inf"):
        raise RefusedError(f"KEEPER_INTERVAL_S is {text!r}: set it to a number of seconds above 0")
    return interval_s


def _log_events(environ: Mapping[str, str]) -> int | None:
    text = environ.get("KEEPER_LOG_EVENTS", "")
    if not text:
        return None
    if not text.isdecimal() or not int(text):
        raise RefusedError(
            f"KEEPER_LOG_EVENTS is {text!r}: set it to a whole number above 0, or leave it out"
        )
    return int(text)
