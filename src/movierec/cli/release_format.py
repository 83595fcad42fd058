"""Format releases for the command line: one-line texts, and JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from movierec.releases import traffic_split
from movierec.releases.log import Step
from movierec.releases.state_machine import ReleaseState, Replayed


def summary(found: ReleaseState) -> dict[str, Any]:
    """Return a release's state as JSON."""
    return {
        "release_id": found.release_id,
        "state": found.state,
        "model_version": found.model_version,
        "version": found.version,
        "canary_percent": found.percent,
        "paused": found.paused,
        "began": found.began.isoformat(),
        "reason": found.reason,
    }


def headline(facts: Mapping[str, Any]) -> str:
    """Return a release's summary on one line."""
    share = f" at {facts['canary_percent']:g}%" if facts["state"] == "exposed" else ""
    paused = ", paused" if facts["paused"] else ""
    reason = f": {facts['reason']}" if facts["reason"] else ""
    version = f"version {facts['version']}" if facts["version"] else "no version yet"
    model = facts["model_version"] or "no model yet"
    return f"{facts['release_id']}  {facts['state']}{share}{paused}, {model}, {version}{reason}"


def timeline(step: Step) -> str:
    """Return a step on one line: time, name, traffic split, reason."""
    reason = f"  {step.reason}" if step.reason else ""
    share = traffic_split.describe(step.after)
    return f"{step.time:%Y-%m-%d %H:%M:%S}  {step.name:<8}  {share}{reason}".rstrip()


def latest_evaluation(steps: Sequence[Step]) -> Mapping[str, Any] | None:
    """Return the newest evaluation among the steps, or None."""
    return next((s.facts["evaluation"] for s in reversed(steps) if "evaluation" in s.facts), None)


def replayed(found: Replayed) -> str:
    """Return a recomputed decision on one line."""
    was = f"{found.at}  {found.decided.name} at {found.decided.percent:g}% ({found.verdict})"
    if found.ok:
        return f"{was}  ok"
    if found.again is None:
        return f"{was}  differs: {found.fault}"
    again = f"{found.again.name} at {found.again.percent:g}% ({found.verdict_again})"
    return f"{was}  differs: now {again}"


def replayed_json(found: Replayed) -> dict[str, Any]:
    """Return a recomputed decision as JSON."""
    return {"ok": found.ok, **asdict(found)}
