"""Format what the commands of `movierec ingest` report, for people."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

Part = str | tuple[str, str]
Line = tuple[Part, ...]

_WIDTH: Final = 24
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_LABEL: Final = 11
_LEVELS: Final = "▁▂▃▄▅▆▇█"


def name(file: str) -> str:
    """Return a file's name for the progress line."""
    return "standard input" if file == "-" else Path(file).name


def check(report: Mapping[str, Any]) -> Iterator[Line]:
    """Yield the lines of `movierec ingest check`."""
    form = ["gzip"] if report["gzip"] else []
    form += ["each with its record's time"] if report["record_times"] else []
    noted = f" ({', '.join(form)})" if form else ""
    yield ((name(report["file"]), "bold"), f": {report['lines']:,} lines{noted}")
    if report["cut_short"]:
        said = "the gzip file ends in the middle, or is damaged: what came before was read"
        yield ((said, "yellow"),)
    yield ()
    yield from _counts(report["by_kind"], report["lines"], "green")
    yield from _rejected(report)
    yield ()
    if not report["well_formed"]:
        yield (("no line of it is a line of the site's log", "red"), f": {report['looks_like']}")
        return
    for facts in (_time, _clock, _ratings, _users, _movies, _requests):
        yield from facts(report)
    yield ()
    yield from _settings(report["settings"])


def loaded(report: Mapping[str, Any]) -> Iterator[Line]:
    """Yield the lines of `movierec ingest file`."""
    new, lines = report["loaded"], report["lines"]
    before = f", {lines - new:,} were there before" if lines > new else ""
    yield ((f"{new:,} lines", "bold"), f" loaded as topic {report['topic']}{before}")
    yield from _in_all(report)
    bases = report["by_time_basis"]
    if bases.get("assumed"):
        said = "events whose time was taken as UTC, for nothing says what the site's clock shows"
        yield (f"{bases['assumed']:,} {said}: ", ("MOVIEREC_SITE_TIMEZONE sets it", "yellow"))


def replayed(report: Mapping[str, Any]) -> Iterator[Line]:
    """Yield the lines of `movierec ingest replay`."""
    yield ((f"{report['lines']:,} lines", "bold"), f" of {report['topic']} read")
    for partition, (begin, end) in report["offsets"].items():
        read = f"offsets {begin} to {end - 1}" if end > begin else "nothing"
        yield (f"  partition {partition}: {read}",)
    yield from _in_all(report)
    found = report["against_events"]
    if found:
        both = f"{found['both_have']:,} lines in both, {found['at_another_time']:,} of them"
        rest = f"{found['new_here']:,} new, {found['missing_here']:,} missing"
        yield (f"table {report['table']} beside events: {both} at another time, {rest}",)


def _in_all(report: Mapping[str, Any]) -> Iterator[Line]:
    total = sum(report["by_kind"].values()) + sum(report["by_reason"].values())
    yield from _counts(report["by_kind"], total, "green")
    yield from _counts(report["by_reason"], total, "yellow")


def _counts(counts: Mapping[str, int], lines: int, style: str) -> Iterator[Line]:
    for kind, count in counts.items():
        share = count / lines
        yield (f"  {kind:<22}{count:>13,} {share:>8.2%}  ", (_bar(share), style))


def _bar(share: float) -> str:
    whole, rest = divmod(round(share * _WIDTH * 8), 8)
    return ("█" * whole + _EIGHTHS[rest]).rstrip() or "▏"


def _rejected(report: Mapping[str, Any]) -> Iterator[Line]:
    for reason, count in report["by_reason"].items():
        yield from _counts({reason: count}, report["lines"], "yellow")
        for line in report["examples"].get(reason, ()):
            yield (("    " + _printable(line), "dim"),)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _fact(label: str, *parts: Part) -> Line:
    return ((f"{label:<{_LABEL}}", "bold"), *parts)


def _time(report: Mapping[str, Any]) -> Iterator[Line]:
    time = report["time"]
    if time is None:
        yield _fact("time", ("no line has a plausible one", "yellow"))
        return
    yield _fact("time", f"{time['first']} to {time['last']} by the site's clock")
    if time["lines_per_s"] >= 1:
        yield _fact("", f"about {time['lines_per_s']:,.0f} lines a second")


def _clock(report: Mapping[str, Any]) -> Iterator[Line]:
    clock = report["clock"]
    if clock["wrong"]:
        yield _fact("clock", (clock["wrong"], "red"))
    elif clock["offset_minutes"] is not None:
        near = f", as in {clock['example_zone']}" if clock["example_zone"] else ""
        yield _fact("clock", f"{clock['offset_minutes']:+d} minutes from UTC{near}: the records'")
        yield _fact("", f"times show it, {clock['share']:.0%} of {clock['samples']} samples agree")
    elif clock["timed_lines"]:
        yield _fact("clock", "unknown: between the records' times and the lines' is no steady")
        yield _fact("", "offset, as where a backlog was written at once; live, the worker finds it")
    elif clock["basis"] == "zone":
        yield _fact("clock", "by the zone that is set (MOVIEREC_SITE_TIMEZONE)")
    else:
        yield _fact("clock", "cannot be told from a dump without a UTC clock beside it;")
        yield _fact("", "live, the worker finds it")


def _ratings(report: Mapping[str, Any]) -> Iterator[Line]:
    ratings = report["ratings"]
    if not ratings["count"]:
        yield _fact("ratings", "none: the scale cannot be told")
        return
    low, high = ratings["scale"]
    yield _fact("ratings", f"{low} to {high}  ", (_spark(ratings["histogram"], low, high), "cyan"))
    seen = f"{ratings['count']:,} seen, from {ratings['min']} to {ratings['max']}"
    beyond = f"; {ratings['outside']:,} off the scale: taken for corrupt"
    yield _fact("", seen + (beyond if ratings["outside"] else ""))


def _spark(histogram: Mapping[str, int], low: int, high: int) -> str:
    counts = [histogram.get(str(n), 0) for n in range(low, high + 1)]
    most = max(counts) or 1
    return "".join(_LEVELS[round(n / most * (len(_LEVELS) - 1))] if n else " " for n in counts)


def _users(report: Mapping[str, Any]) -> Iterator[Line]:
    users = report["users"]
    yield _fact("users", f"{users['distinct']:,} different ones, ids up to {users['within']:,}")
    if users["beyond"]:
        lines = "1 line" if users["beyond"] == 1 else f"{users['beyond']:,} lines"
        yield _fact("", f"{lines} beyond, up to {users['largest']:,}: taken for corrupt")


def _movies(report: Mapping[str, Any]) -> Iterator[Line]:
    movies = report["movies"]
    more = "at least " if movies["too_many"] else ""
    yield _fact("movies", f"{more}{movies['seen']:,} different ones")
    if movies["named_once"]:
        yield _fact("", f"{movies['named_once']:,} of them in one line alone: perhaps corrupt ids")
    if movies["unknown"] is not None:
        of = f"of them are not among the catalog's {movies['catalog']:,}"
        which = f": {', '.join(movies['unknown_examples'])}" if movies["unknown"] else ""
        yield _fact("", f"{movies['unknown']:,} {of}{which}")


def _requests(report: Mapping[str, Any]) -> Iterator[Line]:
    asked = report["requests"]
    if not asked["total"]:
        yield _fact("requests", "none for recommendations")
        return
    latency = asked["latency_ms"]
    yield _fact(
        "requests",
        f"{asked['total']:,} for recommendations, {asked['share']:.2%} with status 200; ",
        f"half within {latency['p50']} ms, 99% within {latency['p99']} ms",
    )
    for label, counts in (("from", asked["servers"]), ("failed", asked["errors"])):
        for text, count in list(counts.items())[:3]:
            yield _fact("", f"{label} {text}: {count:,}")
    lists = asked["lists"]
    for key, text in (
        ("malformed", "results that are no list of ids"),
        ("too_long", f"lists of more than {lists['longest_taken']} movies"),
        ("with_repeats", "lists that name a movie twice"),
    ):
        if lists[key]:
            yield _fact("", (f"{text}, which the site may not take: {lists[key]:,}", "yellow"))


def _settings(found: list[Mapping[str, str]]) -> Iterator[Line]:
    if not found:
        yield (("settings:", "bold"), " none, the defaults fit")
        return
    yield (("settings:", "bold"),)
    width = max(len(f"{one['name']}={one['value']}") for one in found)
    for one in found:
        text = f"{one['name']}={one['value']}"
        yield ("export ", (f"{text:<{width}}", "green"), (f"  # {one['why']}", "dim"))
