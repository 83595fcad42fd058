"""Embedded Metric Format: log lines into measurements.

AWS: "Specification: Embedded metric format". What does not follow the specification yields a reason
and nothing else; the rest of its document still counts. Nothing is raised.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeGuard

from localstack.aws.api.cloudwatch import StandardUnit

MAX_DIMENSIONS: Final = 30
MAX_METRICS: Final = 100
MAX_VALUES: Final = 100
MAX_CHARACTERS: Final = 1024
# CloudWatch takes no others (API reference, PutMetricData and MetricDatum).
MAX_VALUE: Final = 2.0**360
OLDEST_S: Final = 14 * 24 * 3600
NEWEST_S: Final = 2 * 3600
_RESOLUTIONS_S: Final = frozenset({1, 60})

UNITS: Final = frozenset(StandardUnit)

Node = Mapping[str, object]
Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Series:
    """Everything that tells one metric's second from another's.

    `second` is seconds since the epoch, `resolution_s` 1 or 60.
    """

    namespace: str
    name: str
    dimensions: Dimensions
    unit: str
    second: int
    resolution_s: int = 60


@dataclass(frozen=True, slots=True)
class Measurement:
    """Some values of a series, at least one."""

    series: Series
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Invalid:
    """A document, or a part of one, that breaks the specification, and in what."""

    reason: str


Found = Iterator[Measurement | Invalid]

MARK: Final = '"_aws"'
"""What every output that is worth reading has in it."""


def read(output: str, now: float) -> Found:
    """Yield every measurement in a function's output, and a reason for all that is none.

    One value goes to each of its directive's dimension sets, as CloudWatch does it. `now` is
    seconds since the epoch. A line that is no JSON object is a log line, and only that.
    """
    # Not splitlines: a JSON text may hold U+2028 and its like.
    for line in output.split("\n"):
        if MARK in line and line.lstrip().startswith("{"):
            yield from _document(line, now)


def _document(line: str, now: float) -> Found:
    try:
        root = json.loads(line)
    except (ValueError, RecursionError):
        yield Invalid("the line is not one JSON object")
        return
    if "_aws" not in root:
        return
    metadata = root["_aws"]
    directives = metadata.get("CloudWatchMetrics") if isinstance(metadata, dict) else None
    if not isinstance(directives, list):
        yield Invalid("_aws.CloudWatchMetrics is not an array")
        return
    second = _second(metadata.get("Timestamp"), now)
    if second is None:
        yield Invalid("_aws.Timestamp is not milliseconds between 14 days ago and in 2 hours")
        return
    for directive in directives:
        yield from _directive(directive, root, second)


def _directive(directive: object, root: Node, second: int) -> Found:
    fault = _directive_fault(directive)
    if fault or not isinstance(directive, dict):
        yield Invalid(fault)
        return
    sets = [_dimensions(names, root) for names in directive["Dimensions"]]
    yield from (found for found in sets if isinstance(found, Invalid))
    for definition in directive["Metrics"]:
        metric = _metric(definition, root)
        if isinstance(metric, Invalid):
            yield metric
            continue
        name, unit, resolution_s, values = metric
        for dimensions in sets:
            if not isinstance(dimensions, Invalid):
                series = Series(
                    directive["Namespace"], name, dimensions, unit, second, resolution_s
                )
                yield Measurement(series, values)


def _directive_fault(directive: object) -> str:
    """Return what is wrong with a directive's own members, nothing if nothing is."""
    if not isinstance(directive, dict):
        return "a member of CloudWatchMetrics is not an object"
    if not _is_text(directive.get("Namespace")):
        return f"Namespace is not a text of 1 to {MAX_CHARACTERS} characters"
    if not isinstance(directive.get("Dimensions"), list):
        return "Dimensions is not an array"
    definitions = directive.get("Metrics")
    if not isinstance(definitions, list) or len(definitions) > MAX_METRICS:
        return f"Metrics is not an array of at most {MAX_METRICS}"
    return ""


def _dimensions(names: object, root: Node) -> Dimensions | Invalid:
    """Return the set whose every member names a text at the document's root."""
    if not isinstance(names, list) or len(names) > MAX_DIMENSIONS:
        return Invalid(f"a dimension set is not an array of at most {MAX_DIMENSIONS}")
    pairs: list[tuple[str, str]] = []
    for name in names:
        value = root.get(name) if isinstance(name, str) else None
        if not _is_text(value):
            return Invalid(f"dimension {name}: no text of 1 to {MAX_CHARACTERS} characters")
        pairs.append((name, value))
    return tuple(pairs)


def _metric(definition: object, root: Node) -> tuple[str, str, int, tuple[float, ...]] | Invalid:
    """Return a metric's name, unit, resolution in seconds and values."""
    if not isinstance(definition, dict):
        return Invalid("a member of Metrics is not an object")
    name, unit = definition.get("Name"), definition.get("Unit", "None")
    resolution_s = definition.get("StorageResolution", 60)
    if not _is_text(name):
        return Invalid(f"a metric's Name is not a text of 1 to {MAX_CHARACTERS} characters")
    if not isinstance(unit, str) or unit not in UNITS:
        return Invalid(f"metric {name}: CloudWatch has no unit {unit}")
    if not _is_number(resolution_s) or resolution_s not in _RESOLUTIONS_S:
        return Invalid(f"metric {name}: StorageResolution {resolution_s} is neither 1 nor 60")
    values = _values(root.get(name))
    if not values:
        return Invalid(f"metric {name}: no number, nor an array of 1 to {MAX_VALUES} numbers")
    return name, unit, int(resolution_s), values


def _values(target: object) -> tuple[float, ...]:
    """Return a metric's values, one or an array of them; nothing when any is no number."""
    values: list[object] = target if isinstance(target, list) else [target]
    if len(values) > MAX_VALUES:
        return ()
    numbers = tuple(float(value) for value in values if _is_number(value))
    return numbers if len(numbers) == len(values) else ()


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= MAX_CHARACTERS


def _is_number(value: object) -> TypeGuard[int | float]:
    # JSON's true is a Python int, and json reads NaN and Infinity, which CloudWatch refuses.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= MAX_VALUE


def _second(timestamp_ms: object, now: float) -> int | None:
    if not _is_number(timestamp_ms):
        return None
    second = int(timestamp_ms // 1000)
    return second if now - OLDEST_S <= second <= now + NEWEST_S else None
