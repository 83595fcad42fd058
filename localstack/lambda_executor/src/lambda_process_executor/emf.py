"""Embedded Metric Format: log lines into measurements.

AWS: "Specification: Embedded metric format". A line that is no JSON object, or that does not
follow the specification, is a log line and nothing else: it yields nothing, and nothing is raised.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lambda_process_executor.measurements import Dimensions, Measurement, Series

MAX_DIMENSIONS: Final = 30
MAX_METRICS: Final = 100
MAX_VALUES: Final = 100
_RESOLUTIONS_S: Final = frozenset({1, 60})

_SIZES: Final = ("Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes")
_BITS: Final = ("Bits", "Kilobits", "Megabits", "Gigabits", "Terabits")
UNITS: Final = frozenset(
    {"Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "Count/Second", "None"}
    | {*_SIZES, *_BITS}
    | {f"{unit}/Second" for unit in (*_SIZES, *_BITS)}
)

Node = Mapping[str, object]


def measurements(output: str, now: float) -> Iterator[Measurement]:
    """Yield every measurement in a function's output; `now` dates documents without a time.

    One value goes to each of its directive's dimension sets, as CloudWatch does it.
    """
    for line in output.splitlines():
        if '"_aws"' in line:
            yield from _document(line, now)


def _document(line: str, now: float) -> Iterator[Measurement]:
    try:
        root = json.loads(line)
    except ValueError:
        return
    metadata = root.get("_aws") if isinstance(root, dict) else None
    if not isinstance(metadata, dict):
        return
    second = _second(metadata.get("Timestamp"), now)
    directives = metadata.get("CloudWatchMetrics")
    for directive in directives if isinstance(directives, list) else []:
        if isinstance(directive, dict):
            yield from _directive(directive, root, second)


def _directive(directive: Node, root: Node, second: int) -> Iterator[Measurement]:
    namespace, definitions = directive.get("Namespace"), directive.get("Metrics")
    if not isinstance(namespace, str) or not namespace or not isinstance(definitions, list):
        return
    sets = list(_dimension_sets(directive.get("Dimensions"), root))
    for definition in definitions[:MAX_METRICS]:
        if not isinstance(definition, dict):
            continue
        for dimensions in sets:
            series = _series(definition, namespace, dimensions, second)
            values = _values(root.get(series.name)) if series else ()
            if series and values:
                yield Measurement(series, values)


def _dimension_sets(given: object, root: Node) -> Iterator[Dimensions]:
    """Yield the sets whose every member names a text at the document's root."""
    for names in given if isinstance(given, list) else []:
        if not isinstance(names, list) or len(names) > MAX_DIMENSIONS:
            continue
        pairs = [(name, root.get(name)) for name in names if isinstance(name, str)]
        texts = tuple((name, value) for name, value in pairs if isinstance(value, str) and value)
        if len(texts) == len(names):
            yield texts


def _series(definition: Node, namespace: str, dimensions: Dimensions, second: int) -> Series | None:
    name, unit = definition.get("Name"), definition.get("Unit", "None")
    resolution_s = definition.get("StorageResolution", 60)
    if not isinstance(name, str) or not name or unit not in UNITS:
        return None
    if not isinstance(resolution_s, int) or resolution_s not in _RESOLUTIONS_S:
        return None
    return Series(namespace, name, dimensions, str(unit), second, resolution_s)


def _values(target: object) -> tuple[float, ...]:
    """Return a metric's values, one or an array of them; nothing when any is no number."""
    values: list[Any] = target if isinstance(target, list) else [target]
    if len(values) > MAX_VALUES or not all(_is_number(value) for value in values):
        return ()
    return tuple(map(float, values))


def _is_number(value: object) -> bool:
    # JSON's true is a Python int, and json reads NaN and Infinity, which CloudWatch refuses.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < float("inf") and not math.isnan(value)


def _second(timestamp_ms: object, now: float) -> int:
    if isinstance(timestamp_ms, int) and not isinstance(timestamp_ms, bool) and timestamp_ms > 0:
        return timestamp_ms // 1000
    return int(now)
