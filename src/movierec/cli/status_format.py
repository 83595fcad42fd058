"""Format a run's status for people."""

from collections.abc import Mapping
from typing import Any


def fact(name: str, value: Any) -> list[str]:  # noqa: ANN401  any fact
    """Return the lines of one status detail."""
    if name == "routing" and isinstance(value, dict):
        lines = split(value)
    elif isinstance(value, dict):
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in value.items() if kind != "total")
        lines = [f"{value['total']:,}" + (f" ({kinds})" if kinds else "")]
    elif isinstance(value, list):
        lines = value or ["none"]
    else:
        lines = ["none" if value is None else f"{value:,}" if isinstance(value, int) else value]
    label = name.removesuffix("_lines").replace("_", " ")
    return [f"{label if i == 0 else '':<18} {line}" for i, line in enumerate(lines)]


def state(found: Mapping[str, Any], now_s: float) -> str:
    """Return a line on the emulator's saved state. `now_s` is the time, Unix seconds."""
    if not found["generation"]:
        return "nothing saved yet"
    texts = [f"generation {found['generation']}, {age(now_s - found['saved_at_s'])} old"]
    texts += [f"{name} {', '.join(found[name])}" for name in ("unsaved", "lost") if found[name]]
    return "; ".join(texts)


def restarts(part: Mapping[str, Any], now_s: float) -> str:
    """Return how often a part was restarted, empty if never."""
    count = part["restarts"]
    if not count:
        return ""
    times = "once" if count == 1 else f"{count} times"
    return f"died and was restarted {times}, last {age(now_s - part['started_at_s'])} ago"


def age(seconds: float) -> str:
    """Return a time span in its largest whole unit: `95 s` as `1 min`."""
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length_s:
            return f"{seconds // length_s:.0f} {unit}"
    return f"{max(seconds, 0) // 1:.0f} s"


def split(found: Mapping[str, Any]) -> list[str]:
    """Return a traffic split, a line for each version.

    `found` is a TrafficSplit as JSON, with `models`: the model of each of its versions.
    """
    stable, canary = found["stable"], found["canary"]
    model = {version: name or "the newest model" for version, name in found["models"].items()}
    if canary is None:
        return [f"version {stable}: everybody, {model[stable]}"]
    share = found["canary_percent"]
    return [
        f"version {stable}: {100 - share:g}%, {model[stable]}",
        f"version {canary}: {share:g}%, {model[canary]} (canary)",
    ]
