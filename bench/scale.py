"""Training at scale: data set, both fits, evaluation and lists beside `implicit` alone.

    python -m bench.scale [--sizes 1,5,10,50]

Sizes are in millions of interactions; the largest has 1 million users and 27,000 movies. The rival
is the library's own fit and its own lists for everybody, on the confidences of the same data set:
it builds no data set, evaluates nothing and fits once. Each stage is a process of its own; their
lakes and results stay in build/scale. The blend's extra is shown beside: its weights, and its lists
of some users.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench import scale_lake
from bench.benchmark_report import ROOT, Row, publish
from bench.scale_stages import BLENDED_USERS, STAGES

_RATIO: Final = 2.5
_MEMORY_GB: Final = 4.5
_OURS: Final = ("dataset", "load", "fit_train", "evaluation", "fit_all", "lists")
_RIVALS: Final = ("implicit_fit", "implicit_lists")

Usage = Mapping[str, Mapping[str, float]]


def main() -> int:
    """Measure and publish; return 1 if a goal is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1,5,10,50")
    sizes = parser.parse_args().sizes.split(",")
    found = {size: measured(ROOT / "build" / "scale" / size, float(size)) for size in sizes}
    rows = [row for size, usage in found.items() for row in _rows(size, usage)]
    publish("scale", rows, stages=found)
    return 0 if all(row.ok is not False for row in rows) else 1


def measured(folder: Path, millions: float) -> dict[str, Any]:
    """Return the usage of each stage by name."""
    site = scale_lake.Site.of(millions)
    _lake(folder, site)
    usage: dict[str, Any] = {}
    for stage in STAGES:
        for name, used in _ran(folder, stage).items():
            print(
                f"{millions:g} million: {name:15} {used['seconds']:8.1f} s"
                f" {used['cpu_s']:8.1f} CPU s {used['peak_memory_bytes'] / 1e9:6.2f} GB",
                flush=True,
            )
            # Each process loads the data set; the function does it once.
            usage[name] = used
    return usage


def _lake(folder: Path, site: scale_lake.Site) -> None:
    """Generate the lake unless it is there."""
    done = folder / "generated.json"
    if not done.exists():
        subprocess.run(["rm", "-rf", folder], check=True)
        rows = scale_lake.generate(folder / "lake", site)
        done.write_text(json.dumps({"rows": rows}), encoding="ascii")
    subprocess.run(["rm", "-rf", folder / "datasets"], check=True)


def _ran(folder: Path, stage: str) -> Usage:
    command = [sys.executable, "-m", "bench.scale_stages", str(folder), stage]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    found: Usage = json.loads(done.stdout.splitlines()[-1])
    return found


def _rows(size: str, usage: Usage) -> list[Row]:
    ours, rivals = (sum(usage[name]["seconds"] for name in names) for names in (_OURS, _RIVALS))
    peak = max(usage[name]["peak_memory_bytes"] for name in _OURS)
    cpu = sum(usage[name]["cpu_s"] for name in _OURS)
    rival_cpu = sum(usage[name]["cpu_s"] for name in _RIVALS)
    blend, lists = usage["blend_weights"], usage["blend_lists"]
    rival = "implicit: fit and lists"
    return [
        Row(f"{size} million: a retraining", ours, "s", "lower", _RATIO * rivals, rival, rivals),
        Row(f"{size} million: its CPU time", cpu, "s", "lower", rival=rival, rival_value=rival_cpu),
        Row(f"{size} million: peak memory", peak / 1e9, "GB", goal=_MEMORY_GB),
        *(
            Row(f"{size} million: {name.replace('_', ' ')}", usage[name]["seconds"], "s")
            for name in _OURS
        ),
        Row(f"{size} million: blend's weights, twice", 2 * blend["seconds"], "s"),
        Row(f"{size} million: their memory", blend["peak_memory_bytes"] / 1e9, "GB"),
        Row(f"{size} million: blended lists of {BLENDED_USERS:,} users", lists["seconds"], "s"),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
