"""The quality gate: whether a model may be released, from its files and manifest.

A model that was trained on too little, or does not beat the popular list, gets no requests.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import Any, Final

from movierec.errors import ArtifactError, ObjectNotFoundError
from movierec.model import artifact, sealed_folder
from movierec.model.offline_metrics import brief
from movierec.ports import ObjectStore

# A retraining sees more users than the one before, but for deletions and filters. A loss of a tenth
# of the known users is a fault upstream.
MIN_USERS_OF_STABLE: Final = 0.9

# A gain of one standard error over popularity is chance in one run of six; of three, in one of
# seven hundred.
MIN_GAIN_STDERRS: Final = 3.0


def faults(
    store: ObjectStore, model_version: str, stable_model_version: str | None
) -> tuple[str, ...]:
    """Return why a model may not be released, nothing if it may.

    It must load (every file as in its manifest), cover the users that the stable model covers,
    and rank held-out interactions better than popularity does. Raises UnavailableError.
    """
    try:
        manifest = _load(store, model_version)
    except (ArtifactError, ObjectNotFoundError) as exc:
        return (f"does not load: {exc}",)
    stable = _manifest(store, stable_model_version) if stable_model_version else None
    return (*_of_coverage(manifest, stable), *_of_quality(manifest))


def _load(store: ObjectStore, model_version: str) -> Mapping[str, Any]:
    manifest = _manifest(store, model_version)
    key = functools.partial(artifact.key, model_version)
    artifact.unpack(sealed_folder.load(store, key, manifest["files"], manifest))
    return manifest


def _manifest(store: ObjectStore, model_version: str) -> Mapping[str, Any]:
    return sealed_folder.manifest(store, functools.partial(artifact.key, model_version))


def _of_coverage(manifest: Mapping[str, Any], stable: Mapping[str, Any] | None) -> Iterator[str]:
    users = _number(manifest, "counts", "users")
    if not users:
        yield "its manifest counts no users"
    elif stable is not None:
        needed = MIN_USERS_OF_STABLE * (_number(stable, "counts", "users") or 0.0)
        if users < needed:
            yield f"knows {users:,.0f} users, fewer than {needed:,.0f}, 90% of the stable model's"


def _of_quality(manifest: Mapping[str, Any]) -> Iterator[str]:
    try:
        metrics = brief(manifest["metrics"])
    except (KeyError, TypeError):
        yield "its manifest does not compare it with popularity"
        return
    gain, stderr = metrics["ndcg_gain"], metrics["ndcg_gain_stderr"]
    # None where too few users were evaluated.
    if gain is None or stderr is None or not gain > MIN_GAIN_STDERRS * stderr:
        yield (
            f"does not beat popularity on the held-out set: NDCG {_signed(gain)}, where more than "
            f"{MIN_GAIN_STDERRS:g} standard errors ({_signed(stderr)} each) are required"
        )


def _signed(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.4f}"


def _number(manifest: Mapping[str, Any], section: str, name: str) -> float | None:
    value = manifest.get(section, {}).get(name)
    return float(value) if isinstance(value, int | float) else None
