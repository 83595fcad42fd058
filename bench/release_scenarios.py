"""Releases on the real loop: one that is promoted, and three that must not be.

A site sends 20 requests a second; each release goes through the state machine and the automatic
rollbacks, nothing else. docs/releases.md and its charts are made from the releases' own logs.

    python -m bench.release_scenarios
"""

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from bench.benchmark_report import ROOT, Row, publish, table
from bench.faulty_api import Code
from bench.running_stack import Stack, command, playing
from movierec import settings
from movierec.aws.release_factory import open_releases
from movierec.aws.s3_store import S3Store
from movierec.model import artifact, sealed_folder
from movierec.releases.log import Step
from movierec.reports import release_report
from movierec.stack import run_environment

SEED: Final = 1

# A minute of the site is ten hours of watching: so steps and horizon are short, and the margin is
# what a few hundred lists can tell. The rules are those of every release.
POLICY: Final = {
    "margin": 0.1,
    "min_trials": 30,
    "sharpest_at_trials": 100,
    "dwell_s": 60,
    "step_limit_s": 900,
    "look_s": 15,
    "horizon_s": 20,
    "settle_s": 3,
}

FAILING_WITHIN_S: Final = 30.0
SLOW_WITHIN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Played:
    """One release, as recorded in its log and by the site."""

    name: str
    steps: tuple[Step, ...]
    statuses: Mapping[str, int]
    """Answers that the site got while it was on, by status."""
    sources: Mapping[str, int]

    @property
    def exposed_s(self) -> float:
        """Seconds from the canary's first share to its last step."""
        first = next(step for step in self.steps if step.name == "weigh")
        return (self.steps[-1].time - first.time).total_seconds()

    @property
    def availability(self) -> float:
        """Share of the site's requests, in percent, that were answered with status 200."""
        total = sum(self.statuses.values())
        return 100.0 * self.statuses.get("200", 0) / total if total else 0.0

    @property
    def canary_trials(self) -> int:
        """Canary lists that the last verdict was reached on."""
        evaluated = [step.facts["evaluation"] for step in self.steps if "evaluation" in step.facts]
        return int((evaluated[-1]["trials"] or {}).get("canary", 0)) if evaluated else 0


def main() -> int:
    """Play, print, write build/bench/release-scenarios.json and docs/releases.md."""
    given = {settings.RELEASE_POLICY: json.dumps(POLICY)}
    with playing("--events", "300000", "--requests", "60", env=given) as stack:
        run_environment.adopt(run_environment.load(stack.run))
        code = Code()
        played = [
            _play(stack, "promoted", lambda: ["--model", _retrained(stack)]),
            _play(stack, "failing", lambda: code.hurt("failing")),
            _play(stack, "slow", lambda: code.hurt("slow")),
        ]
        code.mend()
        played.append(_play(stack, "poor", lambda: ["--model", _shuffled()]))
    rows = _rows({release.name: release for release in played})
    publish("release-scenarios", rows, policy=POLICY)
    _write_page(played, rows)
    return 0 if all(row.ok is not False for row in rows) else 1


def _rows(played: Mapping[str, Played]) -> list[Row]:
    states = {name: release.steps[-1].name for name, release in played.items()}
    expected = {"promoted": "promote"}
    wrong = sum(state != expected.get(name, "rollback") for name, state in states.items())
    failing, slow, poor = played["failing"], played["slow"], played["poor"]
    return [
        Row("releases that did not end as they should", wrong, "", goal=0),
        Row("failing: off after its first user", failing.exposed_s, "s", goal=FAILING_WITHIN_S),
        Row("slow: off after its first user", slow.exposed_s, "s", goal=SLOW_WITHIN_S),
        Row("poor: off after its first user", poor.exposed_s, "s"),
        Row("poor: off after canary lists", poor.canary_trials, ""),
        Row("promoted: from first user to all", played["promoted"].exposed_s, "s"),
        *(
            Row(f"{name}: status 200", release.availability, "%", better="higher", goal=100.0)
            for name, release in played.items()
        ),
    ]


# The page -----------------------------------------------------------------------------------


_HEAD: Final = """# Releases on the real loop

Made by `make bench-release-scenarios`: a site of 20 requests a second, real Lambda versions behind
a real alias, the state machine, both automatic rollbacks, and nothing else. What was released, and
what became of it, is in the releases' own logs. How often such a verdict is wrong is measured
[elsewhere](releases-error-rates.md), over thousands of releases.
"""

_WHAT: Final[Mapping[str, str]] = {
    "promoted": "A model that was trained anew: as good as the one before, and shown to be.",
    "failing": "Code that answers its smoke test and fails each user. CloudWatch's alarm on the "
    "version brings it down; the proxy answers its users meanwhile.",
    "slow": "Code that takes a second for each user, where the proxy waits for 400 ms.",
    "poor": "A model that gives users random movies, with a report that says it is good: no alarm "
    "can see it, only what users do. The always-valid test does.",
}


def _write_page(played: Sequence[Played], rows: Sequence[Row]) -> None:
    folder = ROOT / "docs" / "releases"
    parts = [_HEAD, "```text", table(rows), "```", f"\nPolicy: `{json.dumps(POLICY)}`\n"]
    for release in played:
        parts += [f"## {release.name.capitalize()}\n", f"{_WHAT[release.name]}\n"]
        parts += [_timeline(release), ""]
        for name, picture in release_report.charts(release.steps).items():
            path = folder / f"{release.name}-{name}.svg"
            path.write_text(picture, encoding="utf-8")
            parts.append(f"![{release.name}: {name}](releases/{path.name})\n")
    text = "\n".join(parts).rstrip() + "\n"
    (ROOT / "docs" / "releases.md").write_text(text, encoding="utf-8")


def _timeline(release: Played) -> str:
    began = release.steps[0].time
    rows = [
        f"| {(step.time - began).total_seconds():.1f} | {step.name} | "
        f"{f'{step.after.canary_percent:g} %' if step.after and step.after.canary else ''} | "
        f"{step.reason.replace('|', '/')} |"
        for step in release.steps
        if step.name != "hold"
    ]
    return "\n".join(["| s | step | canary | why |", "| ---: | --- | ---: | --- |", *rows])


# Releases -----------------------------------------------------------------------------------


def _play(stack: Stack, name: str, prepared: Callable[[], Sequence[str]]) -> Played:
    """Release what `prepared` names, wait for its end, and return its record."""
    arguments = prepared()
    before = _requests(stack)
    done = _movierec(stack, "release", "start", *arguments)
    after = _requests(stack)
    steps = open_releases().log.steps(str(done["release_id"]))
    if not any(step.name == "weigh" for step in steps):
        raise RuntimeError(f"{name}: it never had a user: {steps[-1].reason}")
    print(f"{name}: {steps[-1].name}: {steps[-1].reason}", flush=True)
    return Played(name, steps, _more(before, after, "by_status"), _more(before, after, "by_source"))


def _requests(stack: Stack) -> Mapping[str, Any]:
    ledger = json.loads((stack.run.site / "ledger.json").read_text(encoding="utf-8"))
    requests: Mapping[str, Any] = ledger["requests"]
    return requests


def _more(before: Mapping[str, Any], after: Mapping[str, Any], by: str) -> dict[str, int]:
    return {key: n - before[by].get(key, 0) for key, n in after[by].items()}


def _movierec(stack: Stack, *words: str) -> dict[str, Any]:
    """Run a command that may end badly for the release, and return what it printed."""
    done = subprocess.run(
        command(stack.run, "--json", *words),
        stdout=subprocess.PIPE,
        check=False,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _retrained(stack: Stack) -> str:
    return str(_movierec(stack, "retrain")["model_version"])


def _shuffled(seed: int = SEED) -> str:
    """Publish a model that gives each user another user's list, with a good report.

    The report is the original model's: no check of the artifact can tell, only users can.
    """
    store = S3Store.from_env(os.environ, settings.ARTIFACTS_BUCKET)
    teacher = artifact.newest(store)
    manifest = sealed_folder.open_manifest(
        store.get(artifact.key(teacher, sealed_folder.MANIFEST_FILE))
    )
    files = {name: store.get(artifact.key(teacher, name)) for name in manifest["files"]}
    model = artifact.unpack(files)
    rng = np.random.default_rng(seed)
    lists = rng.integers(0, len(model.movie_ids), model.topk.shape).astype(model.topk.dtype)
    files |= artifact.pack(replace(model, topk=lists))
    version = artifact.model_version(datetime.now(UTC), "shuffled", manifest["dataset_id"])
    for name, body in files.items():
        store.put(artifact.key(version, name), body)
    facts = {**manifest, "model_version": version}
    store.put_if_absent(
        artifact.key(version, sealed_folder.MANIFEST_FILE), sealed_folder.seal(files, facts)
    )
    return version


if __name__ == "__main__":
    raise SystemExit(main())
