"""Report of a benchmark: the machine, and rows of figures with their goals and rivals.

`build/bench/<name>.json` holds `machine` and `rows`; docs/benchmarks.md is made from these files.
"""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from movierec.stack.processes.machine_usage import Processors

ROOT = Path(__file__).parents[1]

_PROCESSORS = Processors()

_LIBRARIES = (
    "boto3",
    "chalice",
    "deltalake",
    "implicit",
    "kafka-python",
    "myfm",
    "numpy",
    "pandas",
    "polars",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure. `goal` is what we promise, `rival_value` what an alternative gets.

    `better` is the good direction.
    """

    name: str
    value: float
    unit: str
    better: Literal["lower", "higher"] = "lower"
    goal: float | None = None
    rival: str = ""
    rival_value: float | None = None

    @property
    def ok(self) -> bool | None:
        """Whether the goal is met, None without one."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.better == "lower" else self.value >= self.goal

    @property
    def ratio(self) -> float | None:
        """The value as a multiple of the rival's, None without one."""
        return self.value / self.rival_value if self.rival_value else None


def publish(name: str, rows: Sequence[Row], **facts: Any) -> Path:  # noqa: ANN401  any JSON
    """Print the rows as a table, write them, and return the file."""
    print(table(rows))
    path = ROOT / "build" / "bench" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "name": name,
        "machine": machine(),
        "facts": facts,
        "rows": [_plain(r) for r in rows],
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(f"written to {path.relative_to(ROOT)}")
    return path


def machine() -> dict[str, Any]:
    """Return what the figures depend on: cores, memory, versions, commit, load and date."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory_bytes / 2**30, 1),
        "load_1min": round(os.getloadavg()[0], 2),
        "stolen_percent": round(_PROCESSORS.stolen_percent(), 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": _versions(),
        "commit": _commit(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def table(rows: Sequence[Row]) -> str:
    """Return the rows as aligned text."""
    head = ("", "value", "goal", "rival", "", "ratio", "ok")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cells(row: Row) -> tuple[str, ...]:
    sign = "≤" if row.better == "lower" else "≥"
    return (
        row.name,
        f"{_number(row.value)} {row.unit}",
        f"{sign} {_number(row.goal)}" if row.goal is not None else "",
        row.rival,
        _number(row.rival_value) if row.rival_value is not None else "",
        f"{row.ratio:.2f}" if row.ratio is not None else "",
        {True: "yes", False: "NO", None: ""}[row.ok],
    )


def _number(value: float) -> str:
    # Three digits; of shares, four: models differ by thousandths.
    if abs(value) >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.4f}" if 0.1 <= abs(value) < 1 else f"{value:.3g}"  # noqa: PLR2004


def _plain(row: Row) -> dict[str, Any]:
    return {**asdict(row), "ratio": row.ratio, "ok": row.ok}


def _versions() -> Mapping[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"
