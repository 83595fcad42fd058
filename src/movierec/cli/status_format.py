"""Format a run's status for people."""

from collections.abc import Mapping
from typing import Any


def fact(name: str, value: Any) -> list[str]:  # noqa: ANN401  any fact
    """Return the lines of one status detail."""
    if name == "routing" and isinstance(value, dict):
        lines = split(value)
    elif name == "ingest" and isinstance(value, dict):
        lines = ingest(value)
    elif isinstance(value, dict):
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in value.items() if kind != "total")
        lines = [f"{value['total']:,}" + (f" ({kinds})" if kinds else "")]
    elif isinstance(value, list):
        lines = value or ["none"]
    else:
        lines = ["none" if value is None else f"{value:,}" if isinstance(value, int) else value]
    label = name.removesuffix("_lines").replace("_", " ")
    return [f"{label if i == 0 else '':<18} {line}" for i, line in enumerate(lines)]


def ingest(found: Mapping[str, Any]) -> list[str]:
    """Return what the ingest worker says of itself, a line for each thing worth knowing."""
    since_s = found["since_flush_s"]
    flushed = "nothing written yet" if since_s is None else f"last written {age(since_s)} ago"
    lines = [
        f"{found['lines_per_s']:.1f} lines/s, oldest waiting {found['lag_s']:.0f} s; {flushed}"
    ]
    if found["failing"]:
        lines.append(f"fails: {found['failing']}")
    if found["quarantined"]:
        shares = ", ".join(f"{name} {share:.2%}" for name, share in found["quarantined"].items())
        lines.append(f"quarantined of the last 10 minutes: {shares}")
    lines += waiting(found.get("waiting") or {})
    lines += [f"{topic}: {site_clock(state)}" for topic, state in found["site_clocks"].items()]
    return lines


def waiting(found: Mapping[str, Any]) -> list[str]:
    """Return what waits in quarantine for the catalog to grow, if there is anything to say."""
    asked = found.get("movies_unknown") or found.get("movies_found") or found.get("users_found")
    if not found.get("lines") and not asked:
        return []
    said = f"{found['lines']:,} lines wait for their movies, {found['admitted']:,} admitted"
    if found["site_failure"]:
        said += f"; the site does not answer: {found['site_failure']}"
    elif asked:
        known = f"{found['movies_found']:,} movies and {found['users_found']:,} users"
        unknown = f"{found['movies_unknown']:,} and {found['users_unknown']:,}"
        said += f"; the site knew {known}, and did not know {unknown}"
    return [said]


def site_clock(found: Mapping[str, Any]) -> str:
    """Return a line on the site's clock."""
    if found["wrong"]:
        return str(found["wrong"])
    offset = found["offset_minutes"]
    if offset is None:
        return (
            "clock by the zone that is set"
            if found["basis"] == "zone"
            else "clock unknown, its times are taken as UTC: no list is judged by them"
        )
    known = "as the zone that is set says" if found["basis"] == "zone" else "found"
    sure = f", {found['share']:.0%} of {found['samples']} lines agree" if found["samples"] else ""
    return f"clock UTC{offset:+d} min, {known}{sure}"


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
