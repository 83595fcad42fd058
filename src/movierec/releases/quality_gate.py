"""The quality gate: whether a model may be released, from what is written down about it.

Whoever was trained on too little, or is no better than a list of what is popular, gets no user.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import Any, Final

from movierec.errors import ArtifactError, ObjectNotFoundError
from movierec.model import artifact, sealed_folder
from movierec.model.offline_metrics import brief
from movierec.ports import ObjectStore

# A retraining sees more users than the one before, but for deletions and filters. Losing a tenth
# of those who are served personally today is an accident upstream.
MIN_USERS_OF_STABLE: Final = 0.9

# One standard error above popularity and no less could be luck in one run of six; at three it is
# one in seven hundred.
MIN_GAIN_STDERRS: Final = 3.0


def faults(
    store: ObjectStore, model_version: str, stable_model_version: str | None
) -> tuple[str, ...]:
    """Return why a model may not be released, nothing if it may.

    It must load (every file there and as its manifest says), cover the users that the stable
    model covers, and rank what was held out better than popularity does. Raises UnavailableError.
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
    # None of too few users to tell.
    if gain is None or stderr is None or not gain > MIN_GAIN_STDERRS * stderr:
        yield (
            f"does not beat popularity on what was held out: NDCG {_signed(gain)}, where more than "
            f"{MIN_GAIN_STDERRS:g} standard errors ({_signed(stderr)} each) are asked for"
        )


def _signed(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.4f}"


def _number(manifest: Mapping[str, Any], section: str, name: str) -> float | None:
    value = manifest.get(section, {}).get(name)
    return float(value) if isinstance(value, int | float) else None
