"""New users, fresh lists, and what a list costs.

    python -m bench.people [--only lists,costs,scale,request,latency] [--seeds 71,72,73]

Each world and each stage is a process of its own. With --only the other parts' rows are those of
the run before.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from bench import license_cost, newcomer_lists, refresh_latency, refresh_scale
from bench.benchmark_report import ROOT, Row, publish
from bench.newcomer_lists import EVENTS

_BUILD: Final = ROOT / "build" / "people"
_SCALE_GOAL_S: Final = 60.0
_MEMORY_GOAL_GB: Final = 2.0
_REQUEST_GOAL_MS: Final = 0.1

# Not those that anything was tuned on.
_SEEDS: Final = "71,72,73"

Figures = Mapping[str, Mapping[str, float]]


def main() -> int:
    """Measure, print, write build/bench/people.json; return 1 if a goal is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(_PARTS), help="parts to measure, by comma")
    parser.add_argument("--seeds", default=_SEEDS, help="of the simulator's worlds, by comma")
    given = parser.parse_args()
    wanted, seeds = given.only.split(","), [int(seed) for seed in given.seeds.split(",")]
    if unknown := set(wanted) - set(_PARTS):
        parser.error(f"no such parts: {', '.join(sorted(unknown))}")
    _BUILD.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        found = [_plain(row) for row in _PARTS[name](seeds)]
        (_BUILD / f"{name}.json").write_text(json.dumps(found), encoding="utf-8")
    rows = [row for name in _PARTS for row in _measured(name)]
    publish("people", rows, seeds=seeds, measured_now=wanted)
    return 0 if all(row.ok is not False for row in rows) else 1


def _plain(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in Row.__slots__}


def _measured(name: str) -> Iterable[Row]:
    path = _BUILD / f"{name}.json"
    if path.exists():
        yield from (Row(**row) for row in json.loads(path.read_text(encoding="utf-8")))


def _ran(module: str, *arguments: str) -> Any:  # noqa: ANN401  JSON
    """Return what a module prints last, as a process of its own."""
    path = os.pathsep.join((str(ROOT), str(ROOT / "chalice_app")))
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{module}", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


# New users ----------------------------------------------------------------------------------


def _lists(seeds: Sequence[int]) -> list[Row]:
    worlds: list[Figures] = [_ran("newcomer_lists", str(seed)) for seed in seeds]
    of_all = f"new users, {len(seeds)} worlds"

    def median(value: Callable[[Figures, str], float], metric: str) -> float:
        return statistics.median(value(world, metric) for world in worlds)

    def lift(kind: str) -> Callable[[Figures, str], float]:
        return lambda world, metric: world[kind][metric] - world["group"][metric]

    def share(kind: str) -> Callable[[Figures, str], float]:
        last = f"text, {EVENTS[-1]}"
        return lambda world, metric: lift(kind)(world, metric) / lift(last)(world, metric)

    return [
        *(
            Row(
                f"{of_all}: {text}, text alone: share of the lift after {EVENTS[-1]} movies",
                median(share("text, 0"), metric),
                "",
                "higher",
                newcomer_lists.SHARE_GOAL if metric == "ndcg" else None,
            )
            for metric, text in _METRICS.items()
        ),
        *(
            Row(
                f"{of_all}: {text}, no text, nothing seen: over the group's list",
                median(lift("no text, 0"), metric),
                "",
                "higher",
                0.0,
            )
            for metric, text in _METRICS.items()
        ),
        *(
            Row(
                f"{of_all}: {text}, another's text: over the group's list",
                median(lift("shuffled"), metric),
                "",
                "lower",
                0.0,
            )
            for metric, text in _METRICS.items()
        ),
        *(
            Row(
                f"{of_all}: {text}, after {n} movies",
                statistics.median(world[f"text, {n}"][metric] for world in worlds),
                "",
                "higher",
                rival="without text",
                rival_value=statistics.median(world[f"no text, {n}"][metric] for world in worlds),
            )
            for metric, text in _METRICS.items()
            for n in EVENTS
        ),
    ]


_METRICS: Final = {"ndcg": "NDCG@20", "affinity": "mean true affinity"}


# What a list costs --------------------------------------------------------------------------


def _costs(seeds: Sequence[int]) -> list[Row]:
    """Return the medians of all worlds' rows."""
    threads = os.process_cpu_count() or 1
    worlds = [license_cost.run(threads, seed) for seed in seeds]
    rows = []
    for same in zip(*worlds, strict=True):
        rivals = [row.rival_value for row in same if row.rival_value is not None]
        rows.append(
            replace(
                same[0],
                name=same[0].name.replace(f"seed {seeds[0]}", f"{len(seeds)} worlds"),
                value=statistics.median(row.value for row in same),
                rival_value=statistics.median(rivals) if rivals else None,
            )
        )
    return rows


# Fresh lists --------------------------------------------------------------------------------


def _scale(_: Sequence[int]) -> list[Row]:
    used: dict[str, dict[str, float]] = {}
    for stage in refresh_scale.STAGES:
        found = _ran("refresh_scale", str(_BUILD / "scale"), stage)
        used |= {f"{stage}, {name}": usage for name, usage in found.items()}
    rival = used["implicit, implicit"]
    of_all = f"{refresh_scale.CHANGED:,} changed users of {refresh_scale.SITE.users:,}"
    rows = []
    for kind, text in (("als", "factors"), ("blend", "blend")):
        whole = used[f"{kind}, whole"]
        memory_gb = whole["peak_memory_bytes"] / 1e9
        rows += [
            Row(f"refresh of {of_all}, {text}", whole["seconds"], "s", goal=_SCALE_GOAL_S,
                rival="implicit: lists alone", rival_value=rival["seconds"]),
            Row(f"refresh of {of_all}, {text}: CPU time", whole["cpu_s"], "s",
                rival="implicit: lists alone", rival_value=rival["cpu_s"]),
            Row(f"refresh of {of_all}, {text}: peak memory", memory_gb, "GB",
                goal=_MEMORY_GOAL_GB),
        ]  # fmt: skip
    return rows


def _request(_: Sequence[int]) -> list[Row]:
    found = _ran("overlay_request")
    return [
        Row(
            f"what an overlay adds to a request, user {text}",
            found[f"{kind}, added"],
            "ms",
            goal=_REQUEST_GOAL_MS,
            rival="the API's own code without",
            rival_value=found[f"{kind}, without"],
        )
        for kind, text in (("changed", "in it"), ("unchanged", "not in it"))
    ]


def _latency(_: Sequence[int]) -> list[Row]:
    return refresh_latency.run()


_PARTS: Final[Mapping[str, Callable[[Sequence[int]], list[Row]]]] = {
    "lists": _lists,
    "costs": _costs,
    "scale": _scale,
    "request": _request,
    "latency": _latency,
}

if __name__ == "__main__":
    raise SystemExit(main())
