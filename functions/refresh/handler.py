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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final, Self

import numpy as np
from aws_lambda_powertools import Logger, Metrics

from functions.refresh import changing, movies, newer_events, overlay_store, served_model
from functions.refresh.described import Reader
from functions.refresh.movies import Candidates
from functions.refresh.newer_events import Versions
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
from movierec.model.refresh import State
from movierec.ports import Clock, ObjectStore
from movierec.releases.ports import ServedFunction
from movierec.runtime.clock import SystemClock

SERVICE: Final = "movierec-refresh"

NEW_MOVIE_PLACES: Final = 2
"""Places for new movies among the first 20 of a list; 0: none."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The function's dependencies; `load_model` and `new_movies` keep what they have read."""

    lake: LakeReader
    store: ObjectStore
    function: ServedFunction
    clock: Clock
    load_model: Callable[[str], ServedModel]
    new_movies: Callable[[ServedModel, Versions], Candidates]
    plausible: PlausibleTimes
    code_version: str
    logger: Logger
    metrics: Metrics
    new_reader: Callable[[], Reader] | None = None
    """Makes a run's reader of descriptions; None: there is no language model."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Return the dependencies on AWS. Raises ConfigError."""
        store = S3Store.from_env(env, settings.ARTIFACTS_BUCKET)
        # Stable version and canary: an environment holds no more.
        load_model = functools.lru_cache(maxsize=2)(functools.partial(served_model.load, store))
        lake, clock, logger = DeltaLake.from_env(env), SystemClock(), Logger(service=SERVICE)
        return cls(
            lake=lake,
            store=store,
            function=LambdaFunction(settings.require(env, settings.API_FUNCTION)),
            clock=clock,
            load_model=load_model,
            new_movies=movies.predictor(lake, NEW_MOVIE_PLACES),
            plausible=PlausibleTimes.from_env(env),
            code_version=settings.require(env, settings.CODE_VERSION),
            logger=logger,
            metrics=Metrics(namespace=NAMESPACE, service=SERVICE),
            new_reader=Reader.from_env(env, store, clock, logger),
        )


def refresh_lists(deps: Dependencies) -> dict[str, Any]:
    """Refresh the lists of every model that is served; see the module's docstring."""
    started = deps.clock.now()
    served, reader = served_versions(deps), deps.new_reader() if deps.new_reader else None
    rounds = [{version: _refresh(deps, version, reader) for version in served}]
    if reader:
        # The lists are out: nobody waits for the language model.
        if reader.ask():
            rounds.append({version: _refresh(deps, version, reader) for version in served})
        reader.emit(deps.metrics, namespace=NAMESPACE, service=SERVICE)
    answer = {version: _sum([one[version] for one in rounds]) for version in served}
    if any(one["written"] and one["number"] == 1 for done in rounds for one in done.values()):
        # Another model than before.
        overlay_store.forget(deps.store, served, started)
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


def _sum(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "number": rounds[-1]["number"],
        "changed_users": sum(one["changed_users"] for one in rounds),
        "written": any(one["written"] for one in rounds),
    }


def _refresh(deps: Dependencies, model_version: str, reader: Reader | None) -> dict[str, Any]:
    model, versions = deps.load_model(model_version), newer_events.pin(deps.lake)
    before = overlay_store.load(deps.store, model_version, len(model.base.dataset.movie_ids))
    before = before or Stored(0, State.first(), model.offsets)
    nothing = {"number": before.number, "changed_users": 0, "written": False}
    newer = newer_events.read_newer(deps.lake, versions, before.offsets, deps.plausible)
    gone = withdrawn.load(deps.store)
    if changing.is_nothing_new(model, before, newer, versions, withdrawn=gone, reader=reader):
        return nothing
    found = changing.find(
        deps.lake,
        versions,
        model,
        before,
        newer,
        withdrawn=gone,
        new_movies=deps.new_movies,
        reader=reader,
    )
    changes = found.changes
    # How far those who wrote something have been looked through is kept, but for nobody at all.
    swept = found.described_to != before.described_to
    keeps = swept and (before.number > 0 or found.described_to is not None)
    keeps |= not np.array_equal(found.waiting, before.waiting)
    if not (len(changes.users) or gone != before.state.overlay.withdrawn or keeps):
        return nothing
    state = refresh.refreshed(model.base, before.state, changes)
    facts = {
        "model_version": model_version,
        "created_at": deps.clock.now().astimezone(UTC).isoformat(),
        "code_version": deps.code_version,
        "lake": {"versions": versions},
        "offsets": dict(newer.reached),
        "described_to": found.described_to,
        "language_model": reader.model.name if reader else None,
        "counts": {"users": len(state.overlay.user_ids), "changed_users": len(changes.users)},
    }
    try:
        number = overlay_store.publish(deps.store, model_version, state, facts, found.waiting)
    except ObjectExistsError as exc:
        # The other run has read the same events; should it fail, the next one reads them again.
        deps.logger.info("refreshed_by_another", extra={"error": str(exc)})
        return nothing
    deps.logger.info("overlay_published", extra={"number": number, **facts})
    return {"number": number, "changed_users": len(changes.users), "written": True}


handler = lambda_handler(Dependencies.from_env, lambda _event, found, _: refresh_lists(found))
