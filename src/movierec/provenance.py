"""The chain from one recommendation back to the data, as values.

    recommendation ─▶ function version ─▶ release
          │                 └─▶ code commit
          ├─▶ site's own log line
          └─▶ model ─▶ data set ─▶ lake versions ─▶ Kafka offsets

A `Chain` holds the links as they were found: a row, a Lambda configuration, manifests. A link that
is not there is None and has a line in `missing` that says why the chain ends there. `render` lays
a chain out for people, `to_json` for machines; the `check_*` functions compare what a manifest says
with what was read again. Reading is done by `movierec.aws.provenance`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from movierec import events
from movierec.ranking import Ranked

Facts = Mapping[str, Any]

_EPOCH: Final = datetime.fromtimestamp(0, UTC)

# The site writes its line when it has the answer, by its own clock; the proxy writes by its own.
SITE_CLOCK_WITHIN: Final = timedelta(days=1)

# The steps of a release that can send users to its version, of `movierec.release_log.StepName`.
_SENDING: Final = ("route", "weigh", "promote")


@dataclass(frozen=True, slots=True)
class Served:
    """What was answered to whom: a line of the proxy's journal, a row of the lake's `served`.

    `served_at_us` is microseconds since 1970, UTC: a whole number comes back from a file as it
    went in. A `function_version` of "" is the proxy's own answer.
    """

    served_at_us: int
    recommendation_id: str
    user_id: int
    movie_ids: tuple[str, ...]
    model_version: str
    function_version: str
    source: str
    status: int
    latency_ms: float

    @property
    def served_at(self) -> datetime:
        """The time, in UTC."""
        return _EPOCH + timedelta(microseconds=self.served_at_us)


@dataclass(frozen=True, slots=True)
class Function:
    """A published version of the API function, as Lambda describes it."""

    name: str
    version: str
    code_version: str
    code_sha256: str
    model_version: str
    published_at: str
    description: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Everything that one recommendation came from.

    `site_event` is a row of the lake's table `events`; `release` holds the release's steps in
    order; `model` and `dataset` are manifests.
    """

    served: Served
    site_event: Facts | None = None
    function: Function | None = None
    release: tuple[Facts, ...] = ()
    model: Facts | None = None
    dataset: Facts | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its rows of label and value."""

    title: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: what a manifest says, and what was found.

    `gone`: what to compare with is no longer kept, and `found` says why. That is no difference.
    """

    name: str
    expected: str
    found: str
    gone: bool = False

    @property
    def ok(self) -> bool:
        """Whether they are the same."""
        return not self.gone and self.expected == self.found


def microseconds(at: datetime) -> int:
    """Return the microseconds since 1970 of an aware time, exactly."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def served(row: Facts) -> Served:
    """Return a row of the lake as a value; what is null there is empty here."""
    return Served(
        served_at_us=microseconds(_utc(row["served_at"])),
        recommendation_id=row["recommendation_id"] or "",
        user_id=int(row["user_id"]),
        movie_ids=tuple(row["movie_ids"] or ()),
        model_version=row["model_version"] or "",
        function_version=row["function_version"] or "",
        source=row["source"] or "",
        status=int(row["status"] or 0),
        latency_ms=float(row["latency_ms"] or 0),
    )


def nearest(rows: Sequence[Served], at: datetime) -> Served | None:
    """Return the recommendation that was served nearest to a time, None without any."""
    return min(rows, key=lambda row: abs(row.served_at - at), default=None)


def put_users_on(steps: Sequence[Facts], version: str) -> str | None:
    """Return when a release first sent users to a version (UTC, ISO 8601), None if it never did.

    `steps` are the release's, in order. Cutting and testing a version sends it nobody; going back
    to an earlier one does.
    """
    times = (str(step.get("at") or "") for step in steps if _sends_users_to(step, version))
    return next(times, None)


def _sends_users_to(step: Facts, version: str) -> bool:
    if step.get("version") == version and step.get("name") in _SENDING:
        return True
    # An abort, a pause or a look says nothing of the routing after it.
    after = _routed(step.get("after"))
    return version in after and version not in _routed(step.get("before"))


def _routed(routing: Facts | None) -> tuple[str | None, ...]:
    return (routing["stable"], routing["canary"]) if routing else ()


def release_behind(
    found: Served, version: str, newest_first: Iterable[Sequence[Facts]]
) -> tuple[Facts, ...]:
    """Return the release that had users on a version when `found` was served, () without any.

    A version can be released again. Releases are read one by one, and no further than needed;
    when all began later (the clocks of release and proxy differ), the earliest is taken.
    """
    served_at = found.served_at.isoformat(timespec="milliseconds")
    earliest: tuple[Facts, ...] = ()
    for steps in newest_first:
        since = put_users_on(steps, version)
        if since is not None:
            earliest = tuple(steps)
            if since <= served_at:
                break
    return earliest


def site_event(found: Served, rows: Sequence[Facts]) -> Facts | None:
    """Return the site's own record of a recommendation, None if no row is one.

    `rows` are `recommend` events of the user around that time. The site logs the list that it
    got: it must be the same; of several the nearest in time is taken.
    """
    same = [row for row in rows if tuple(row["movie_ids"] or ()) == found.movie_ids]
    return min(same, key=lambda row: abs(_utc(row["event_time"]) - found.served_at), default=None)


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC) if time.tzinfo is not None else time.replace(tzinfo=UTC)


# For people ---------------------------------------------------------------------------------


def render(chain: Chain) -> tuple[Section, ...]:
    """Return the chain's links in order, each a section; missing ones in a section of their own."""
    sections = (
        Section("recommendation", _rows_of_served(chain.served)),
        Section("site", _rows_of_site(chain.site_event) if chain.site_event else ()),
        Section("function", _rows_of_function(chain.function) if chain.function else ()),
        Section("release", tuple(_rows_of_release(chain.release))),
        Section("model", tuple(_rows_of_model(chain.model)) if chain.model else ()),
        Section("data set", tuple(_rows_of_dataset(chain.dataset)) if chain.dataset else ()),
        Section("missing", tuple(("", text) for text in chain.missing)),
    )
    return tuple(section for section in sections if section.rows)


def to_json(chain: Chain) -> dict[str, Any]:
    """Return the chain as plain values, times as ISO 8601."""
    row = {"served_at": chain.served.served_at.isoformat(), **asdict(chain.served)}
    del row["served_at_us"]
    event = chain.site_event
    return {
        "served": {**row, "movie_ids": list(chain.served.movie_ids)},
        "site_line": _line(event) if event else None,
        "site_offset": _offset(event) if event else None,
        "function": asdict(chain.function) if chain.function else None,
        "release": [dict(step) for step in chain.release],
        "model": dict(chain.model) if chain.model else None,
        "dataset": dict(chain.dataset) if chain.dataset else None,
        "missing": list(chain.missing),
    }


def _rows_of_served(found: Served) -> tuple[tuple[str, str], ...]:
    return (
        ("id", found.recommendation_id),
        ("user", str(found.user_id)),
        ("served at", found.served_at.isoformat()),
        ("answer", f"status {found.status} after {found.latency_ms:.1f} ms, from {found.source}"),
        ("movies", ", ".join(found.movie_ids)),
    )


def _rows_of_site(event: Facts) -> tuple[tuple[str, str], ...]:
    return (("line", _line(event)), ("Kafka", _offset(event)))


def _line(event: Facts) -> str:
    """Return the line that the site wrote; it knows no time zones."""
    return events.dump({**event, "event_time": _utc(event["event_time"]).replace(tzinfo=None)})


def _offset(event: Facts) -> str:
    return f"partition {event['kafka_partition']}, offset {event['kafka_offset']}"


def _rows_of_function(found: Function) -> tuple[tuple[str, str], ...]:
    return (
        ("version", f"{found.name}:{found.version}"),
        ("code", f"{found.code_version} (package sha256 {found.code_sha256})"),
        ("published", f"{found.published_at}: {found.description}"),
    )


def _rows_of_release(steps: Sequence[Facts]) -> Iterator[tuple[str, str]]:
    for step in steps:
        after = step.get("after") or step.get("before") or {}
        share = (
            f"version {after['canary']} gets {after['canary_percent']:g}%"
            if after.get("canary")
            else f"version {after['stable']} gets everybody"
            if after
            else "nobody is routed yet"
        )
        reason = f" ({step['reason']})" if step.get("reason") else ""
        yield f"{step.get('name')}", f"{step.get('at')}: {share}{reason}"


def _rows_of_model(manifest: Facts) -> Iterator[tuple[str, str]]:
    git = manifest.get("git", {})
    yield "version", str(manifest.get("model_version"))
    yield "trained", f"{manifest.get('created_at')}, {manifest.get('duration_s', 0):.0f} s"
    yield "code", f"{git.get('commit')}{' with local changes' if git.get('dirty') else ''}"
    libraries = {"python": manifest.get("python"), **manifest.get("libraries", {})}
    yield "libraries", _listed(libraries)
    yield "parameters", _listed(manifest.get("parameters", {}))
    metrics = manifest.get("metrics", {})
    for name in ("model", "popularity"):
        yield f"offline, {name}", _listed(_numbers(metrics.get(name, {})))
    yield "data set", str(manifest.get("dataset_id"))


def _rows_of_dataset(manifest: Facts) -> Iterator[tuple[str, str]]:
    lake = manifest.get("lake", {})
    yield "id", str(manifest.get("dataset_id"))
    yield "code", str(manifest.get("code_version"))
    yield "parameters", _listed(manifest.get("parameters", {}))
    yield "counts", _listed(manifest.get("counts", {}))
    yield "rows", _listed(_rows_by_kind(manifest))
    yield "lake versions", _listed(lake.get("versions", {}))
    for partition, part in lake.get("offsets", {}).items():
        yield f"partition {partition}", _offsets(part)
    span = lake.get("event_time_us")
    if span:
        yield "events", f"{_from_us(span['first'])} to {_from_us(span['last'])}"


def _listed(facts: Facts) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in facts.items())


def _numbers(facts: Facts) -> Facts:
    return {k: v for k, v in facts.items() if isinstance(v, (int, float))}


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _from_us(epoch_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=epoch_us)).isoformat()


# Checks -------------------------------------------------------------------------------------


def check_files(what: str, manifest: Facts, found: Mapping[str, Facts]) -> tuple[Check, ...]:
    """Compare each file's checksum with the manifest; a file not in `found` is missing."""
    return tuple(
        Check(f"{what} {name}", _sum(expected), _sum(found.get(name)))
        for name, expected in sorted(manifest.get("files", {}).items())
    )


def check_rows(manifest: Facts, rows_by_kind: Mapping[str, int]) -> tuple[Check, ...]:
    """Compare the events read then with those counted now, at the same version of the lake."""
    expected = _rows_by_kind(manifest)
    kinds = sorted(expected.keys() | rows_by_kind.keys())
    return tuple(
        Check(f"lake rows, {kind}", str(expected.get(kind, 0)), str(rows_by_kind.get(kind, 0)))
        for kind in kinds
    )


def check_offsets(manifest: Facts, offsets: Mapping[str, Facts]) -> tuple[Check, ...]:
    """Compare each partition's offsets `first`, `last` and its number of `rows`."""
    expected: Mapping[str, Facts] = manifest.get("lake", {}).get("offsets", {})
    return tuple(
        Check(
            f"partition {partition}",
            _offsets(expected.get(partition)),
            _offsets(offsets.get(partition)),
        )
        for partition in sorted(expected.keys() | offsets.keys())
    )


def check_is_gone(table: str, version: int, why: str) -> Check:
    """Say that the lake does not hold a version any more: there is nothing to count."""
    return Check(f"{table} at version {version}", "still in the lake", why, gone=True)


def check_answer(found: Served, again: Ranked) -> Check:
    """Compare the list that was served with what the same model answers now."""
    return Check("the model's answer", ", ".join(found.movie_ids), ", ".join(again.movie_ids))


def check_links(chain: Chain) -> tuple[Check, ...]:
    """Compare what one link says of the next with what the next says of itself."""
    # $LATEST is pinned to no model.
    pinned = chain.function if chain.function and chain.function.model_version else None
    pairs = (
        ("model of the function", pinned, "model_version", chain.served.model_version),
        ("model", chain.model, "model_version", chain.served.model_version),
        ("data set", chain.dataset, "dataset_id", (chain.model or {}).get("dataset_id")),
    )
    return tuple(
        Check(name, str(expected), str(_field(link, field)))
        for name, link, field, expected in pairs
        if link is not None
    )


def _field(link: Function | Facts, field: str) -> object:
    return getattr(link, field) if isinstance(link, Function) else link.get(field)


def _rows_by_kind(manifest: Facts) -> Mapping[str, int]:
    counts: Mapping[str, int] = manifest.get("quality", {}).get("rows", {}).get("by_kind", {})
    return counts


def _sum(found: Facts | None) -> str:
    return f"{found['size_bytes']} bytes, sha256 {found['sha256']}" if found else "missing"


def _offsets(part: Facts | None) -> str:
    return f"{part['first']}..{part['last']}, {part['rows']} rows" if part else "missing"
