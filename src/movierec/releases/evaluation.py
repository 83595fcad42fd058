"""An online evaluation as a value: the answer of `evaluate_online`, and a fact of a release's step.

Inside a release it holds the verdict on the canary and the key of the trials that the verdict was
computed from; `replay` computes it again from those bytes.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Self, get_args

import numpy as np
import numpy.typing as npt

from movierec.errors import ArtifactError
from movierec.model import sealed_folder
from movierec.releases import sequential_test
from movierec.releases.log import PREFIX
from movierec.releases.policy import Policy
from movierec.releases.sequential_test import Trials, Verdict

_VERDICTS: Final = (*get_args(Verdict), None)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Metrics of the lists served in a window; outside a release there is no verdict.

    `difference` is the canary's gain in hit rate as `sequential_test` estimates it, `lower` and
    `upper` its always-valid bounds; all are None while a side has too few trials for bounds.
    """

    release_id: str | None
    at: datetime
    until: datetime | None
    """The watermark: outcomes are known until then. None: the lake has no recent lines."""
    lake_versions: Mapping[str, int]
    versions: Mapping[str, Mapping[str, Any]]
    """By function version: `model_version`, and metrics by their names in `movierec.metrics`."""
    overall: Mapping[str, Any]
    trials: Mapping[str, int] | None = None
    """Of `stable` and `canary`; likewise `hits`."""
    hits: Mapping[str, int] | None = None
    mixed_windows: int | None = None
    """Trials in whose window the other version served as well."""
    difference: float | None = None
    lower: float | None = None
    upper: float | None = None
    verdict: Verdict | None = None
    trials_key: str | None = None
    trials_sha256: str | None = None
    refused: str | None = None
    """Why there is no verdict, of trials that would mean nothing; None if there is one."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values that go to JSON as they are; times are ISO 8601 in UTC."""
        until = self.until.isoformat() if self.until else None
        values = {**asdict(self), "at": self.at.isoformat(), "until": until}
        if self.refused is None:  # as it was stored before there was a refusal
            del values["refused"]
        return values

    @classmethod
    def from_json(cls, values: Any) -> Self:  # noqa: ANN401  any JSON value
        """Return what `to_json` wrote. Raises ArtifactError naming what is wrong."""
        if not isinstance(values, Mapping):
            raise ArtifactError(f"an evaluation is {type(values).__name__}, not an object")
        try:
            until = values["until"]
            found = cls(
                **{
                    **values,
                    "at": _time(values["at"]),
                    "until": None if until is None else _time(until),
                }
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise ArtifactError(
                f"no evaluation ({exc!r}): was it written by another version of the code?"
            ) from exc
        if found.verdict not in _VERDICTS:
            raise ArtifactError(f"an evaluation's verdict is {found.verdict!r}: none of ours")
        return found


def sentence(evaluation: Mapping[str, Any] | None) -> str:
    """Return an evaluation, as JSON, on one line: trials, hits, difference, bounds, verdict."""
    if evaluation and evaluation.get("refused"):
        return f"not evaluated: {evaluation['refused']}"
    if not evaluation or not evaluation.get("trials"):
        return "nothing counted yet"
    trials, hits = evaluation["trials"], evaluation["hits"]
    parts = [f"{side} {hits[side]:,} of {trials[side]:,} lists watched" for side in trials]
    if evaluation.get("difference") is not None:
        low, high = (_signed(evaluation[name]) for name in ("lower", "upper"))
        parts.append(f"difference {_signed(evaluation['difference'])} in [{low}, {high}]")
    return ", ".join([*parts, str(evaluation.get("verdict") or "no verdict")])


def _signed(value: float | None) -> str:
    return "?" if value is None else f"{value:+.4f}"


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no zone")
    return at.astimezone(UTC)


def trials_key(release_id: str, at: datetime) -> str:
    """Return the object key of an evaluation's trials; keys of a release sort by time."""
    return f"{PREFIX}{release_id}/trials/{at.astimezone(UTC):%Y%m%dT%H%M%S%fZ}.npz"


def judge(evaluation: Evaluation, trials: Trials, policy: Policy) -> Evaluation:
    """Return the evaluation with counts, bounds and verdict of these trials."""
    bounds = sequential_test.bounds(trials, policy)
    return replace(
        evaluation,
        trials=_by_side(trials.canary),
        hits=_by_side(trials.canary[trials.hit]),
        difference=bounds.effect if math.isfinite(bounds.upper) else None,
        lower=_finite(bounds.lower),
        upper=_finite(bounds.upper),
        verdict=sequential_test.verdict(bounds, policy),
    )


def _by_side(canary: npt.NDArray[np.bool_]) -> dict[str, int]:
    return {"stable": int((~canary).sum()), "canary": int(canary.sum())}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def replay(evaluation: Evaluation, stored: bytes, policy: Policy) -> Evaluation:
    """Return the evaluation computed again from its stored trials.

    It equals the evaluation if that was computed by this code and policy. Raises ArtifactError if
    the bytes do not have the evaluation's checksum.
    """
    found = sealed_folder.checksum(stored)["sha256"]
    if found != evaluation.trials_sha256:
        raise ArtifactError(
            f"{evaluation.trials_key} has sha256 {found}, its evaluation says"
            f" {evaluation.trials_sha256}: it was changed after the evaluation"
        )
    return judge(evaluation, sequential_test.unpack(stored), policy)
