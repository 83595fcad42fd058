"""Render a lineage: as sections of text, and as JSON."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from movierec.lake import log_lines
from movierec.lake.served import Served, detail_of, from_microseconds, utc
from movierec.provenance.checks import offsets_text, rows_by_kind
from movierec.provenance.lineage import Facts, Function, Lineage
from movierec.releases.traffic_split import TrafficSplit, describe


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its rows of label and value."""

    title: str
    rows: tuple[tuple[str, str], ...]


def render(lineage: Lineage) -> tuple[Section, ...]:
    """Return a section for each link in order, and one for the missing links."""
    sections = (
        Section("recommendation", tuple(_rows_of_served(lineage.served))),
        Section("site", _rows_of_site(lineage.site_event) if lineage.site_event else ()),
        Section("function", _rows_of_function(lineage.function) if lineage.function else ()),
        Section("release", tuple(_rows_of_release(lineage.release))),
        Section("model", tuple(_rows_of_model(lineage.model)) if lineage.model else ()),
        Section("data set", tuple(_rows_of_dataset(lineage.dataset)) if lineage.dataset else ()),
        Section("missing", tuple(("", text) for text in lineage.missing)),
    )
    return tuple(section for section in sections if section.rows)


def to_json(lineage: Lineage) -> dict[str, Any]:
    """Return the lineage as plain values, times as ISO 8601."""
    row = {"served_at": lineage.served.served_at.isoformat(), **asdict(lineage.served)}
    del row["served_at_us"]
    row["detail"] = detail_of(lineage.served)
    event = lineage.site_event
    return {
        "served": {**row, "movie_ids": list(lineage.served.movie_ids)},
        "site_line": _line(event) if event else None,
        "site_offset": _offset(event) if event else None,
        "function": asdict(lineage.function) if lineage.function else None,
        "release": [dict(step) for step in lineage.release],
        "model": dict(lineage.model) if lineage.model else None,
        "dataset": dict(lineage.dataset) if lineage.dataset else None,
        "missing": list(lineage.missing),
    }


def _rows_of_served(found: Served) -> Iterator[tuple[str, str]]:
    yield from (
        ("id", found.recommendation_id),
        ("user", str(found.user_id)),
        ("served at", found.served_at.isoformat()),
        ("answer", f"status {found.status} after {found.latency_ms:.1f} ms, from {found.source}"),
        ("movies", ", ".join(found.movie_ids)),
    )
    detail = detail_of(found)
    if detail is not None:
        known = {name: _plain(value) for name, value in detail.items() if name != "v"}
        yield "detail", _listed(known)


def _plain(value: object) -> object:
    return value if isinstance(value, (str, float)) else json.dumps(value)


def _rows_of_site(event: Facts) -> tuple[tuple[str, str], ...]:
    return (("line", _line(event)), ("Kafka", _offset(event)))


def _line(event: Facts) -> str:
    """Return the line that the site wrote, whose times have no zone."""
    line = log_lines.dump({**event, "event_time": utc(event["event_time"]).replace(tzinfo=None)})
    time, comma, rest = line.partition(",")
    return (event.get("site_time") or time) + comma + rest


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
        after = step.get("after") or step.get("before")
        share = describe(TrafficSplit(**after)) if after else "no version gets requests yet"
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
    yield "code", f"{manifest.get('code_version')}, builder {manifest.get('builder_format', 1)}"
    yield "parameters", _listed(manifest.get("parameters", {}))
    yield "counts", _listed(manifest.get("counts", {}))
    yield "rows", _listed(rows_by_kind(manifest))
    yield "lake versions", _listed(lake.get("versions", {}))
    for partition, part in lake.get("offsets", {}).items():
        yield f"partition {partition}", offsets_text(part)
    span = lake.get("event_time_us")
    if span:
        yield "events", f"{from_microseconds(span['first'])} to {from_microseconds(span['last'])}"


def _listed(facts: Facts) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in facts.items())


def _numbers(facts: Facts) -> Facts:
    return {k: v for k, v in facts.items() if isinstance(v, (int, float))}


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
