"""What a run says of itself, in words for people."""

from collections.abc import Mapping
from typing import Any


def fact(name: str, value: Any) -> list[str]:  # noqa: ANN401  any fact
    """Return a fact of a run's condition for people."""
    if name == "routing" and isinstance(value, dict):
        said = routing(value)
    elif isinstance(value, dict):
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in value.items() if kind != "total")
        said = [f"{value['total']:,}" + (f" ({kinds})" if kinds else "")]
    else:
        said = ["none" if value is None else f"{value:,}" if isinstance(value, int) else value]
    label = name.removesuffix("_lines").replace("_", " ")
    return [f"{label if i == 0 else '':<16} {line}" for i, line in enumerate(said)]


def routing(found: Mapping[str, Any]) -> list[str]:
    """Return a routing for people, a line for each version.

    `found` is a Routing as JSON, with `models`: the model of each of its versions.
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
