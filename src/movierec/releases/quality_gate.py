"""The quality gate: whether a model may be released, from its files and manifest.

    files         it loads, every file as in its manifest
    training      not cut short by the deadline, unless the request allows it
    users         it covers those of the stable model
    belief        no leak of the held-out part, no implausible metric
    values        recall and hit rate are not those of a broken model
    baselines     it ranks better than popularity, and not far worse than item k-NN
    production    it ranks not worse than the stable model on the same users of the same window
    groups        no subpopulation falls by more than MAX_GROUP_LOSS against the stable model, or
                  lies far below the popular list

A rule is broken only beyond chance: by STDERRS standard errors, or beyond the interval's end. Where
a manifest has nothing that a rule could judge (it was written by earlier code, or the two models
cannot be compared), the rule does not apply, and `Verdict.notes` says so.

A model that fails stays where it is. The verdict lies beside it, `gates/<model_version>.json`: the
model's own folder is sealed.
"""

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from movierec.errors import ArtifactError, ObjectNotFoundError
from movierec.model import artifact, encoding, sealed_folder
from movierec.model.offline_metrics import MIN_GROUP_USERS, brief
from movierec.ports import ObjectStore

Manifest = Mapping[str, Any]

PREFIX: Final = "gates/"

# A retraining sees more users than the one before, but for deletions and filters. A loss of a tenth
# of the known users is a fault upstream.
MIN_USERS_OF_STABLE: Final = 0.9

STDERRS: Final = 3.0
"""One standard error is exceeded by chance in one run of six; three in one of seven hundred."""

MIN_VALUES: Final = {"recall": 0.01, "hit_rate": 0.02}
"""Far below what popular lists reach, far above random ones: a decision, for broken models."""

MAX_LOSS: Final = 0.02
"""Share of the stable model's NDCG that a new one may lose; why, see docs/adr/0021."""

MAX_GROUP_LOSS: Final = 0.1
"""Share of NDCG that a subpopulation may lose: five times the whole's, for it is a part of it."""

MAX_GROUP_LOSS_TO_POPULARITY: Final = 0.5
"""For users with few interactions popularity is hard to beat; half of it is a broken model."""

MAX_LOSS_TO_BASELINE: Final = 0.1
"""Share of item k-NN's NDCG: it is popularity that must be beaten; this one finds a broken fit."""

_REFUSED_FLAGS: Final = frozenset({"leak", "implausible"})
_BASELINES: Final = ("item_knn",)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a model may not be released, and what could not be judged."""

    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Return the verdict as a sentence."""
        if self.faults:
            return "; ".join(self.faults)
        return "; ".join(("loads, covers the users, beats popularity", *self.notes))


def key(model_version: str) -> str:
    """Return the object key of a model's verdict."""
    return f"{PREFIX}{model_version}.json"


def faults(
    store: ObjectStore, model_version: str, stable_model_version: str | None
) -> tuple[str, ...]:
    """Return the faults that `judge` finds."""
    return judge(store, model_version, stable_model_version).faults


def judge(
    store: ObjectStore,
    model_version: str,
    stable_model_version: str | None,
    *,
    allow_truncated: bool = False,
) -> Verdict:
    """Judge a model by the rules of the module's docstring. Raises UnavailableError."""
    try:
        manifest = _load(store, model_version)
    except (ArtifactError, ObjectNotFoundError) as exc:
        return Verdict((f"does not load: {exc}",))
    stable = _manifest(store, stable_model_version) if stable_model_version else None
    found = [
        *_of_training(manifest, allowed=allow_truncated),
        *_of_coverage(manifest, stable),
        *_of_belief(manifest),
        *_of_values(manifest),
        *_of_baselines(manifest),
    ]
    if stable is None or stable_model_version == model_version:
        return Verdict((*found, *_of_groups(manifest, None)))
    differences, note = _against_stable(manifest, stable, str(stable_model_version))
    found += _of_production(differences)
    found += _of_groups(manifest, None if note else str(stable_model_version))
    return Verdict(tuple(found), (note,) if note else ())


def record(store: ObjectStore, model_version: str, verdict: Verdict, **facts: str | None) -> None:
    """Mark a model with its newest verdict. Raises UnavailableError."""
    body = {
        "model_version": model_version,
        "passed": not verdict.faults,
        "faults": list(verdict.faults),
        "notes": list(verdict.notes),
        **facts,
    }
    store.put(key(model_version), encoding.dump_json(body))


def recorded(store: ObjectStore, model_version: str) -> dict[str, Any] | None:
    """Return a model's newest verdict, None if it was never judged. Raises UnavailableError."""
    try:
        found: dict[str, Any] = encoding.load_json(
            key(model_version), store.get(key(model_version))
        )
    except ObjectNotFoundError:
        return None
    return found


def _load(store: ObjectStore, model_version: str) -> Manifest:
    manifest = _manifest(store, model_version)
    folder = functools.partial(artifact.key, model_version)
    artifact.unpack(sealed_folder.load(store, folder, manifest["files"], manifest))
    return manifest


def _manifest(store: ObjectStore, model_version: str) -> Manifest:
    return sealed_folder.manifest(store, functools.partial(artifact.key, model_version))


# Rules on the model alone ---------------------------------------------------------------------


def _of_training(manifest: Manifest, *, allowed: bool) -> Iterator[str]:
    truncated = manifest.get("truncated")
    if truncated and not allowed:
        why = truncated.get("reason") if isinstance(truncated, Mapping) else truncated
        detail = f" ({why})" if isinstance(why, str) else ""
        yield f"its training was cut short{detail}; to release it all the same: --allow-truncated"


def _of_coverage(manifest: Manifest, stable: Manifest | None) -> Iterator[str]:
    users = _number(manifest, "counts", "users")
    if not users:
        yield "its manifest counts no users"
    elif stable is not None:
        needed = MIN_USERS_OF_STABLE * (_number(stable, "counts", "users") or 0.0)
        if users < needed:
            yield f"knows {users:,.0f} users, fewer than {needed:,.0f}, 90% of the stable model's"


def _of_belief(manifest: Manifest) -> Iterator[str]:
    for flag in _metrics(manifest).get("flags", ()):
        if flag["kind"] in _REFUSED_FLAGS:
            yield f"its evaluation is not to be believed: {flag['text']}"


def _of_values(manifest: Manifest) -> Iterator[str]:
    model = _metrics(manifest).get("model", {})
    for name, least in MIN_VALUES.items():
        value = model.get(name)
        most = model.get("intervals", {}).get(name, (value, value))[1]
        if value is not None and most < least:
            yield f"its {name.replace('_', ' ')} is {value:.4f}, less than {least}"


def _of_baselines(manifest: Manifest) -> Iterator[str]:
    try:
        metrics = brief(manifest["metrics"])
    except (KeyError, TypeError):
        yield "its manifest does not compare it with popularity"
        return
    gain, stderr = metrics["ndcg_gain"], metrics["ndcg_gain_stderr"]
    # None where too few users were evaluated.
    if gain is None or stderr is None or not gain > STDERRS * stderr:
        yield (
            f"does not beat popularity on the held-out set: NDCG {_signed(gain)}, where more than "
            f"{STDERRS:g} standard errors ({_signed(stderr)} each) are required"
        )
    for name in _BASELINES:
        difference = _metrics(manifest).get("differences", {}).get(name, {}).get("ndcg")
        if difference is None:
            continue
        theirs = _metrics(manifest)["others"][name]["ndcg"]
        if _surely_below(difference, -MAX_LOSS_TO_BASELINE * theirs):
            yield (
                f"ranks worse than {name}, by more than {MAX_LOSS_TO_BASELINE:.0%}: NDCG"
                f" {_described(difference)} from {theirs:.4f}"
            )


# Rules on the model beside the stable one -----------------------------------------------------


def _against_stable(
    manifest: Manifest, stable: Manifest, stable_version: str
) -> tuple[Mapping[str, Any] | None, str]:
    """Return the difference of NDCG with `stable`, its mean, or a note why there is none."""
    metrics = _metrics(manifest)
    production = metrics.get("production") or {}
    paired = metrics.get("differences", {}).get("production")
    if paired and production.get("model_version") == stable_version:
        theirs = metrics["others"]["production"]["ndcg"]
        return {**paired["ndcg"], "stable": theirs}, ""
    if manifest.get("dataset_id") and manifest.get("dataset_id") == stable.get("dataset_id"):
        return _unpaired(metrics, _metrics(stable)), ""
    why = "they were evaluated on different data"
    if production.get("model_version") == stable_version:
        why = production.get("reason") or "they have no test users in common"
    return None, f"not compared with the stable model: {why}"


def _unpaired(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the difference of two models that were evaluated on the same data set, by itself."""
    if ours.get("test_users") != theirs.get("test_users"):
        return None
    try:
        one, other = ours["model"], theirs["model"]
        return {
            "mean": one["ndcg"] - other["ndcg"],
            "stderr": math.hypot(one["ndcg_stderr"], other["ndcg_stderr"]),
            "users": ours["test_users"],
            "stable": other["ndcg"],
        }
    except (KeyError, TypeError):
        return None


def _of_production(difference: Mapping[str, Any] | None) -> Iterator[str]:
    if difference and _surely_below(difference, -MAX_LOSS * difference["stable"]):
        yield (
            f"ranks worse than the stable model, by more than {MAX_LOSS:.0%}: NDCG"
            f" {_described(difference)} from {difference['stable']:.4f}"
        )


def _of_groups(manifest: Manifest, stable_version: str | None) -> Iterator[str]:
    rivals = {"popularity": MAX_GROUP_LOSS_TO_POPULARITY}
    if stable_version:
        rivals["production"] = MAX_GROUP_LOSS
    for kind, groups in _metrics(manifest).get("groups", {}).items():
        for name, group in groups.items():
            for rival, share in rivals.items():
                difference = group.get("differences", {}).get(rival, {}).get("ndcg")
                if difference is None or difference["users"] < MIN_GROUP_USERS:
                    continue
                theirs = group[rival]["ndcg"]
                if _surely_below(difference, -share * theirs):
                    yield (
                        f"{kind} {name} is served worse than by {_RIVALS[rival]}, by more than"
                        f" {share:.0%}: NDCG {_described(difference)} from {theirs:.4f}"
                    )


_RIVALS: Final = {"popularity": "the popular list", "production": "the stable model"}


# Values ---------------------------------------------------------------------------------------


def _metrics(manifest: Manifest) -> Mapping[str, Any]:
    found = manifest.get("metrics")
    return found if isinstance(found, Mapping) else {}


def _surely_below(difference: Mapping[str, Any], bound: float) -> bool:
    return bool(difference["mean"] + STDERRS * difference["stderr"] < bound)


def _described(difference: Mapping[str, Any]) -> str:
    return (
        f"{_signed(difference['mean'])} (standard error {difference['stderr']:.4f},"
        f" {difference['users']:,} users)"
    )


def _signed(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.4f}"


def _number(manifest: Manifest, section: str, name: str) -> float | None:
    value = manifest.get(section, {}).get(name)
    return float(value) if isinstance(value, int | float) else None
