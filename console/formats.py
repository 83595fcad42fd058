"""How values are written: for people, one way on every page."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from movierec.lake.activity import ServedGroup
from movierec.releases.state_machine import ReleaseState
from movierec.releases.traffic_split import describe

NOTHING: Final = "\N{EN DASH}"

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60))


def number(value: float | None) -> str:
    """Return a number: thousands separated, of fractions four significant digits."""
    if value is None:
        return NOTHING
    if value % 1:
        return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"  # noqa: PLR2004
    return f"{value:,.0f}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share of 1 as percent; what is not whole is never rounded to 0 or 100."""
    if share is None or not math.isfinite(share):
        return NOTHING
    smallest = 10.0**-digits
    value = share * 100
    if 0 < value < smallest:
        return f"<{smallest:g}%"
    if 100 - smallest < value < 100:  # noqa: PLR2004  percent
        return f">{100 - smallest:g}%"
    return f"{value:.{digits}f}%" if value % 1 else f"{value:.0f}%"


def signed(value: float | None, digits: int = 4) -> str:
    """Return a difference with its sign."""
    return NOTHING if value is None else f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def milliseconds(value: float | None) -> str:
    """Return a latency."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"  # noqa: PLR2004


def span(seconds: float | None) -> str:
    """Return a time span in its largest unit, with one digit more where that is a small number."""
    if seconds is None:
        return NOTHING
    for unit, length_s in _UNITS:
        if seconds >= length_s:
            count = seconds / length_s
            return f"{count:.1f} {unit}" if count < 10 and unit != "min" else f"{count:.0f} {unit}"  # noqa: PLR2004
    return f"{max(seconds, 0):.0f} s"


def ago(at: datetime, now: datetime) -> str:
    """Return how long ago something was."""
    return f"{span((now - at).total_seconds())} ago"


def clock(at: datetime) -> str:
    """Return a time in UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def words(name: str) -> str:
    """Return a name of code as words: `unknown_movie` as `unknown movie`."""
    return name.replace("_", " ")


def plain(value: object) -> str:
    """Return a value of a manifest: numbers as `number`, mappings and lists with commas."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {plain(each)}" for name, each in value.items()) or NOTHING
    if isinstance(value, list | tuple):
        return ", ".join(plain(each) for each in value) or NOTHING
    return str(value)


def raw(line: bytes, most: int = 240) -> str:
    """Return bytes of a line as text, what is no UTF-8 escaped."""
    text = line[:most].decode("utf-8", "backslashreplace")
    return f"{text}…" if len(line) > most else text


def shares(counts: Sequence[float], width: float) -> list[tuple[float, float]]:
    """Return each part's left edge and width in a bar that is `width` wide; without any, zeros."""
    total, left, found = sum(counts), 0.0, []
    for count in counts:
        part = width * count / total if total else 0.0
        found.append((round(left, 2), round(part, 2)))
        left += part
    return found


def short(model_version: str) -> str:
    """Return a model version's time and commit: the data set's part is long, and in its title."""
    at, _, rest = model_version.partition("-")
    if len(at) != len("20261120T101500Z") or not rest:
        return model_version
    day, time = f"{at[:4]}-{at[4:6]}-{at[6:8]}", f"{at[9:11]}:{at[11:13]}:{at[13:15]}"
    return f"{day} {time} {rest.partition('-')[0][:7]}"


def offset(minutes: int) -> str:
    """Return an offset from UTC: `+5:30`."""
    sign, (hours, left) = ("+" if minutes >= 0 else "\N{MINUS SIGN}"), divmod(abs(minutes), 60)
    return f"{sign}{hours}:{left:02d}"


def unix_clock(at_s: float) -> str:
    """Return Unix seconds as a time in UTC, to the second."""
    return clock(datetime.fromtimestamp(at_s, UTC))


def window_words(name: str) -> str:
    """Return a time span's name with its unit apart: `1 h`."""
    return f"{name[:-1]} {name[-1]}"


def state_words(found: ReleaseState) -> str:
    """Return a release's state in words."""
    share = f" at {found.percent:g}%" if found.state == "exposed" else ""
    return f"{found.state}{share}{', paused' if found.paused else ''}"


_SOURCE_TONES: Final[Mapping[str, str]] = {"model": "ours", "popular": "also", "fallback": "warn"}


def source_parts(groups: Sequence[ServedGroup]) -> list[tuple[str, int, str]]:
    """Return a bar's parts: requests by source, with their tones."""
    counts = Counter[str]()
    for each in groups:
        counts[each.source] += each.requests
    return [(name, n, _SOURCE_TONES.get(name, "soft")) for name, n in counts.most_common()]


def measure_name(measure: Mapping[str, Any]) -> str:
    """Return a measure's name without its unit, which has a place of its own."""
    name, unit = measure["name"], measure["unit"]
    return words(name.removesuffix(f"_{unit.lower()}") if unit else name)


def better_of(measure: Mapping[str, Any]) -> int | None:
    """Return which of a measure's two values is better, 0 or 1; None if neither is."""
    one, other = measure["values"]
    if None in (one, other) or one == other or not measure["better"]:
        return None
    return int((other > one) == (measure["better"] == "higher"))


FILTERS: Final[dict[str, Any]] = {
    "number": number,
    "percent": percent,
    "signed": signed,
    "ms": milliseconds,
    "span": span,
    "clock": clock,
    "words": words,
    "raw": raw,
    "plain": plain,
    "better_of": better_of,
    "measure_name": measure_name,
    "short": short,
    "offset": offset,
    "unix_clock": unix_clock,
    "window_words": window_words,
    "state_words": state_words,
    "split_words": describe,
    "source_parts": source_parts,
}
