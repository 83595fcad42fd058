"""docs/benchmarks.md, made from the files in build/bench/.

python -m bench.benchmarks_page
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bench.benchmark_report import ROOT

_HEAD = """\
# Benchmarks

Made by `make docs` from what `make bench-<name>` measured; each runs its rival, or the limit, in
the same call. Machines differ and are shared: trust the ratios more than the figures.
"""


def main() -> int:
    """Write the page."""
    files = sorted((ROOT / "build" / "bench").glob("*.json"))
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    page = "\n".join([_HEAD, *(line for one in found for line in _section(one))])
    (ROOT / "docs" / "benchmarks.md").write_text(page, encoding="utf-8")
    return 0


def _section(found: Mapping[str, Any]) -> Iterator[str]:
    machine = found["machine"]
    yield f"## `make bench-{found['name']}`\n"
    stolen = machine.get("stolen_percent")
    of_others = "" if stolen is None else f"{stolen} % of its time taken by other machines, "
    yield (
        f"{machine['cores']} cores, {machine['memory_gib']} GiB, load {machine['load_1min']} when "
        f"it ended, {of_others}Python {machine['python']}, commit {machine['commit']}, "
        f"{machine['at'][:10]}.\n"
    )
    yield "| | value | goal | rival or limit | ratio | met |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for row in found["rows"]:
        yield f"| {' | '.join(_cells(row))} |"
    yield ""


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    sign = "≤" if row["better"] == "lower" else "≥"
    rival = f"{row['rival']}: {_number(row['rival_value'])}" if row["rival_value"] else ""
    return (
        row["name"],
        f"{_number(row['value'])} {row['unit']}".strip(),
        "" if row["goal"] is None else f"{sign} {_number(row['goal'])}",
        rival,
        "" if row["ratio"] is None else f"{row['ratio']:.2f}",
        {True: "yes", False: "**no**", None: ""}[row["ok"]],
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004  three digits


if __name__ == "__main__":
    raise SystemExit(main())
