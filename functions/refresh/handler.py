"""Lambda `movierec-refresh`: lists between trainings.

Event: `{}`, on a schedule and whenever the ingest worker has seen new accounts. Answer:

    {"models": {"<model version>": {"number": n, "changed_users": n, "written": true}}}

Each model that the alias serves has overlays of its own (`movierec.model.overlay`): the users with
events since the overlay before, or since its data set, get their lists anew. A model that has just
been released begins with what is newer than its data. Where nothing has changed none is written.

It may be retried and may crash anywhere: an overlay without a manifest is none, and one that nobody
was told of is made again from the same events. One run at a time is a matter of cost alone: of two
at once the later one finds its number taken, and leaves what it has read to the next.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final, Self

import numpy as np
from aws_lambda_powertools import Logger, Metrics

from functions.refresh import newer_events, overlay_store, served_model
from functions.refresh.newer_events import Newer, Versions
from functions.refresh.overlay_store import Stored
from functions.refresh.served_model import ServedModel
from movierec import settings
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.lambda_function import LambdaFunction
from movierec.aws.lambda_handler import lambda_handler
from movierec.aws.s3_store import S3Store
from movierec.errors import ObjectExistsError
from movierec.lake.plausible_times import PlausibleTimes
from movierec.lake.ports import LakeReader
from movierec.metrics import NAMESPACE, REFRESH_DURATION, REFRESHED_USERS
from movierec.model import artifact, refresh, withdrawn
from movierec.model.encoding import Array
from movierec.model.recent import Recent
from movierec.model.refresh import Changes, State
from movierec.ports import Clock, ObjectStore
from movierec.releases.ports import ServedFunction
from movierec.runtime.clock import SystemClock

SERVICE: Final = "movierec-refresh"


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The function's dependencies; `load_model` keeps what it has read."""

    lake: LakeReader
    store: ObjectStore
    function: ServedFunction
    clock: Clock
    load_model: Callable[[str], ServedModel]
    plausible: PlausibleTimes
    code_version: str
    logger: Logger
    metrics: Metrics

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Return the dependencies on AWS. Raises ConfigError."""
        store = S3Store.from_env(env, settings.ARTIFACTS_BUCKET)
        # Stable version and canary: an environment holds no more.
        load_model = functools.lru_cache(maxsize=2)(functools.partial(served_model.load, store))
        return cls(
            lake=DeltaLake.from_env(env),
            store=store,
            function=LambdaFunction(settings.require(env, settings.API_FUNCTION)),
            clock=SystemClock(),
            load_model=load_model,
            plausible=PlausibleTimes.from_env(env),
            code_version=settings.require(env, settings.CODE_VERSION),
            logger=Logger(service=SERVICE),
            metrics=Metrics(namespace=NAMESPACE, service=SERVICE),
        )


def refresh_lists(deps: Dependencies) -> dict[str, Any]:
    """Refresh the lists of every model that is served; see the module's docstring."""
    started = deps.clock.now()
    answer = {version: _refresh(deps, version) for version in served_versions(deps)}
    changed = sum(one["changed_users"] for one in answer.values())
    duration_s = (deps.clock.now() - started).total_seconds()
    for metric, value in {REFRESHED_USERS: changed, REFRESH_DURATION: duration_s}.items():
        deps.metrics.add_metric(metric.name, metric.unit, value)
    deps.metrics.flush_metrics()
    return {"models": answer}


def served_versions(deps: Dependencies) -> tuple[str, ...]:
    """Return the models that the alias serves; before the first release none."""
    alias = deps.function.alias()
    if alias is None:
        return ()
    versions = [one for one in (alias.split.stable, alias.split.canary) if one]
    models = [
        deps.function.model_of(version) or artifact.newest(deps.store) for version in versions
    ]
    return tuple(dict.fromkeys(models))


def _refresh(deps: Dependencies, model_version: str) -> dict[str, Any]:
    model, versions = deps.load_model(model_version), newer_events.pin(deps.lake)
    before = overlay_store.load(deps.store, model_version, len(model.base.dataset.movie_ids))
    before = before or Stored(0, State.first(), model.offsets)
    newer = newer_events.read_newer(deps.lake, versions, before.offsets, deps.plausible)
    changes = _changes(deps, model, before, newer, versions)
    if not len(changes.users) and changes.withdrawn == before.state.overlay.withdrawn:
        return {"number": before.number, "changed_users": 0, "written": False}
    state = refresh.refreshed(model.base, before.state, changes)
    facts = {
        "model_version": model_version,
        "created_at": deps.clock.now().astimezone(UTC).isoformat(),
        "code_version": deps.code_version,
        "lake": {"versions": versions},
        "offsets": dict(newer.reached),
        "counts": {"users": len(state.overlay.user_ids), "changed_users": len(changes.users)},
    }
    try:
        number = overlay_store.publish(deps.store, model_version, state, facts)
    except ObjectExistsError as exc:
        # The other run has read the same events; should it fail, the next one reads them again.
        deps.logger.info("refreshed_by_another", extra={"error": str(exc)})
        return {"number": before.number, "changed_users": 0, "written": False}
    deps.logger.info("overlay_published", extra={"number": number, **facts})
    return {"number": number, "changed_users": len(changes.users), "written": True}


def _changes(
    deps: Dependencies, model: ServedModel, before: Stored, newer: Newer, versions: Versions
) -> Changes:
    dataset, known = model.base.dataset, before.state.overlay
    touched = np.concatenate((newer.watched.users, newer.rated.users, newer.accounts))
    candidates = np.union1d(touched, known.user_ids).astype(np.int64)
    groups = newer_events.read_groups(deps.lake, versions, candidates)
    # Age and gender of a new account are known some time after its first list.
    regrouped = known.user_ids[groups[np.isin(candidates, known.user_ids)] != known.groups]
    changed = np.isin(candidates, np.union1d(touched, regrouped))
    codes = {movie_id: code for code, movie_id in enumerate(dataset.movie_ids)}
    codes |= {movie_id: len(codes) + n for n, movie_id in enumerate(known.movie_ids)}
    recent = _recent(newer, codes, model)
    movie_ids = tuple(codes)[len(dataset.movie_ids) :]
    catalog = newer_events.read_catalog(deps.lake, versions)
    adult = np.array([catalog.is_adult(one) for one in codes], np.bool_)
    adult[: len(dataset.movie_ids)] |= dataset.adult
    return Changes(
        recent=recent,
        users=candidates[changed],
        groups=groups[changed],
        movie_ids=movie_ids,
        runtimes_minutes=np.array([catalog.runtimes_minutes.get(one, 0) for one in codes]),
        adult=adult,
        withdrawn=withdrawn.load(deps.store),
    )


def _recent(newer: Newer, codes: dict[str, int], model: ServedModel) -> Recent:
    """Return the events as evidence; movies that came since get the next codes."""
    watched, rated = newer.watched, newer.rated
    scale = model.base.parameters.scale
    return Recent.merged(
        Recent(
            watched.users,
            _codes(watched.movie_ids, codes),
            watched.minutes,
            np.zeros(len(watched.users)),
            watched.last_at,
        ),
        Recent(
            rated.users,
            _codes(rated.movie_ids, codes),
            np.full(len(rated.users), -1),
            np.minimum(scale.native(rated.ratings), np.iinfo(np.int8).max),
            rated.last_at,
        ),
    )


def _codes(movie_ids: Array, codes: dict[str, int]) -> Array:
    """Return each movie's code; a new one is added to `codes`."""
    return np.array([codes.setdefault(one, len(codes)) for one in movie_ids.tolist()], np.int32)


handler = lambda_handler(Dependencies.from_env, lambda _event, found, _: refresh_lists(found))
