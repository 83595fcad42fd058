"""Signs that an evaluation is not to be believed, or that a model fails some of its users.

    leak         TRAIN has an event of the held-out window, or a pair of user and movie is in both
    implausible  a metric better than recommenders get: the test part was known in training
    group        a subpopulation is served worse than by the popular list

They are shown in the report. The quality gate refuses leaks and implausible metrics, and judges
groups by rules of its own.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from movierec.model.dataset import TEST, TRAIN, Dataset
from movierec.model.offline_metrics import MIN_GROUP_USERS

MOST_PLAUSIBLE: Final = 0.9
"""Of NDCG and MRR. Published results by time split stay under 0.5; a leak gives 1."""

# One test in 740 goes beyond three standard errors by chance: about one report in twenty.
_STDERRS: Final = 3.0

Flag = dict[str, str]


def of_dataset(dataset: Dataset) -> list[Flag]:
    """Return how the held-out part of a data set can be known from its TRAIN."""
    train, test = dataset.part == TRAIN, dataset.part == TEST
    found = []
    cutoff = dataset.last_at[test].min(initial=np.iinfo(dataset.last_at.dtype).max)
    late = int((dataset.last_at[train] > cutoff).sum())
    if late:
        found.append(_flag("leak", f"{late:,} interactions of TRAIN are of the held-out time"))
    # A user's movies ascend: the two rows of a pair lie side by side.
    same = dataset.movies[1:] == dataset.movies[:-1]
    starts = dataset.indptr[1:-1]
    same[starts[(starts > 0) & (starts < len(dataset.movies))] - 1] = False
    both = int((same & (train[1:] != train[:-1]) & (test[1:] != test[:-1])).sum())
    if both:
        found.append(_flag("leak", f"{both:,} pairs of user and movie are in TRAIN and in TEST"))
    return found


def of_metrics(metrics: Mapping[str, Any]) -> list[Flag]:
    """Return what is wrong with the metrics that `offline_evaluation.judge` found."""
    found = [
        _flag(
            "implausible",
            f"{name.upper()} is {metrics['model'][name]:.3f}, more than {MOST_PLAUSIBLE}: was the"
            " held-out part known in training?",
        )
        for name in ("ndcg", "mrr")
        if metrics["model"][name] > MOST_PLAUSIBLE
    ]
    for kind, groups in metrics["groups"].items():
        for name, group in groups.items():
            gain = group["differences"].get("popularity", {}).get("recall")
            if gain is None or gain["users"] < MIN_GROUP_USERS:
                continue
            if gain["mean"] + _STDERRS * gain["stderr"] < 0:
                found.append(_flag("group", _worse(kind, name, group)))
    return found


def _worse(kind: str, name: str, group: Mapping[str, Any]) -> str:
    return (
        f"{kind} {name}: recall is {group['model']['recall']:.4f}, the popular list's"
        f" {group['popularity']['recall']:.4f} ({group['model']['users']:,} users)"
    )


def _flag(kind: str, text: str) -> Flag:
    return {"kind": kind, "text": text}
