"""Lambda `movierec-evaluate-online`: live quality of recommendations, and a release's verdict.

Event, on a schedule: `{}`, or `{"window_s": 86400}`. It measures every model version on the last
window and publishes the metrics. Event, in a release, at every evaluation tick:

    {"release_id": "20261120T101500123Z", "stable": "3", "canary": "4",
     "since": "2026-11-20T10:15:00Z",
     "weights": [["2026-11-20T10:16:00Z", 5.0], ["2026-11-20T10:46:00Z", 25.0]],
     "policy": {...}}

An evaluation whose lists meet no line of the site gives no verdict, nor metrics of what users did;
`refused` says why.

`weights` is the history of the canary's percent of requests; `policy` is the release's, the
function's own by default. The answer is `movierec.releases.evaluation`'s Evaluation as JSON; in a
release it includes the verdict on the canary. The trials are stored under
`releases/<release_id>/trials/` before the answer: every verdict that is acted on can be replayed.

It may be retried: it only reads, and writes trials under the time of the call.

Memory and time, measured on 2 busy cores with the lake on a local disk: a day of 1.7 million lists
and 40 million watch lines takes 103 s and 1.5 GB. Nothing is written to /tmp.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Self

import numpy as np
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.evaluate_online import lake_window, outcomes, quality_metrics, unmet_lists
from functions.evaluate_online.evaluation_event import Release, Request
from functions.evaluate_online.lake_window import Window
from functions.evaluate_online.outcomes import Served, TrialSet
from movierec import settings
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.lambda_handler import lambda_handler
from movierec.aws.s3_store import S3Store
from movierec.errors import ArtifactError
from movierec.lake.ports import LakeReader
from movierec.lake.schema import SERVED
from movierec.lake.served import microseconds
from movierec.metrics import (
    AVAILABILITY,
    AVERAGE_RATING,
    MODEL_AGE,
    NAMESPACE,
    OUTCOME_METRICS,
    OVERALL_METRICS,
    QUALITY_METRICS,
    VERDICT_METRICS,
    Metric,
    quality_dimensions,
)
from movierec.model import artifact, rating_scale, sealed_folder
from movierec.model.rating_scale import RatingScale
from movierec.ports import Clock, ObjectStore
from movierec.releases import sequential_test
from movierec.releases.evaluation import Evaluation, judge, trials_key
from movierec.releases.policy import Policy
from movierec.runtime.clock import SystemClock

SERVICE: Final = "movierec-evaluate-online"


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The function's dependencies."""

    lake: LakeReader
    store: ObjectStore
    clock: Clock
    policy: Policy
    logger: Logger
    metrics: EphemeralMetrics
    scale: RatingScale = rating_scale.NATIVE

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Return the dependencies on AWS. Raises ConfigError."""
        return cls(
            lake=DeltaLake.from_env(env),
            store=S3Store.from_env(env, settings.ARTIFACTS_BUCKET),
            clock=SystemClock(),
            policy=Policy.from_env(env),
            logger=Logger(service=SERVICE),
            # Without a service: Powertools would add it to every set of dimensions.
            metrics=EphemeralMetrics(service="", namespace=NAMESPACE),
            scale=RatingScale.from_env(env),
        )


def evaluate_online(event: Mapping[str, Any], deps: Dependencies) -> dict[str, Any]:
    """Evaluate, store, publish. Raises UsageError, LakeError, StoreError."""
    request, now = Request.read(event), deps.clock.now()
    if event.get("policy"):
        deps = replace(deps, policy=Policy.read(event["policy"]))
    versions = lake_window.pin(deps.lake)
    until = lake_window.watermark(deps.lake, versions, now)
    deps.logger.info("lake_pinned", extra={"lake_versions": versions, "until": until})
    since = request.since(now)
    window = (
        Window(since, until, deps.policy.horizon_s, deps.scale) if until and until > since else None
    )
    found = _find(request, deps, versions, window) if window else _NOTHING
    evaluation = Evaluation(
        release_id=request.release.release_id if request.release else None,
        at=now,
        until=until,
        lake_versions=versions,
        versions=found.versions,
        overall=found.overall | _model_age(found.serving, now, deps.logger),
        refused=None if found.met_lines else _refusal(since, now, versions, deps),
    )
    if request.release and not evaluation.refused:
        evaluation = _judge(evaluation, request.release, found.trial_set, deps)
    _report_metrics(deps, evaluation)
    return evaluation.to_json()


@dataclass(frozen=True, slots=True)
class _Found:
    """Metrics and trials of a window."""

    versions: Mapping[str, Mapping[str, Any]]
    overall: dict[str, Any]
    trial_set: TrialSet
    serving: str | None
    met_lines: bool
    """Whether a user of a list watched or rated anything within its horizon."""


_NOTHING: Final = _Found({}, {}, outcomes.NO_TRIALS, None, met_lines=False)


def _find(
    request: Request, deps: Dependencies, lake_versions: Mapping[str, int], window: Window
) -> _Found:
    """Return metrics and trials of a window, up to the lake's watermark."""
    site = lake_window.read_site(deps.lake, lake_versions, window)
    overall = {
        AVAILABILITY.name: quality_metrics.availability(site.answers),
        AVERAGE_RATING.name: site.average_rating,
    }
    if SERVED.name not in lake_versions:
        return replace(_NOTHING, overall=overall)
    evidence = lake_window.read_evidence(deps.lake, lake_versions, window, lines=site.lines)
    served = Served.attributed(evidence.rows, evidence.movies)
    until = microseconds(window.until)
    finished = served.finished(until, window.horizon_s)
    judged = served.where(finished)
    met = outcomes.encounters(judged, evidence.viewings, evidence.ratings, window.horizon_s)
    hit = np.zeros(len(finished), np.bool_)
    hit[finished] = outcomes.hits(len(judged.rows), met)
    trial_set = outcomes.NO_TRIALS
    if request.release:
        experiment = request.release.experiment(deps.policy.settle_s)
        trial_set = outcomes.trials(
            served, hit, experiment, until=until, horizon_s=window.horizon_s
        )
    return _Found(
        versions=quality_metrics.by_version(judged, hit[finished], met, evidence.known),
        overall=quality_metrics.measure(judged, hit[finished], met, evidence.known) | overall,
        trial_set=trial_set,
        serving=quality_metrics.serving_model(served),
        met_lines=len(met) > 0,
    )


def _model_age(model: str | None, now: datetime, logger: Logger) -> dict[str, float | None]:
    try:
        days = (now - artifact.trained_at(model)) / timedelta(days=1) if model else None
    except ArtifactError:
        logger.exception("model_version_without_time")
        days = None
    return {MODEL_AGE.name: days}


def _refusal(
    since: datetime, now: datetime, versions: Mapping[str, int], deps: Dependencies
) -> str | None:
    """Return why outcomes of the lists since then mean nothing, None if they do."""
    reason = unmet_lists.refusal(deps.lake, versions, since, now, deps.policy.horizon_s)
    if reason:
        deps.logger.warning("evaluation_refused", extra={"reason": reason})
    return reason or None


def _judge(
    evaluation: Evaluation, release: Release, trial_set: TrialSet, deps: Dependencies
) -> Evaluation:
    """Store the trials, then judge them, so that every verdict can be replayed."""
    body, key = (
        sequential_test.pack(trial_set.trials),
        trials_key(release.release_id, evaluation.at),
    )
    deps.store.put(key, body)
    stored = replace(
        evaluation,
        mixed_windows=trial_set.mixed,
        trials_key=key,
        trials_sha256=sealed_folder.checksum(body)["sha256"],
    )
    return judge(stored, trial_set.trials, deps.policy)


def _report_metrics(deps: Dependencies, evaluation: Evaluation) -> None:
    """Log the evaluation and publish its metrics, without the overall ones in a release.

    Those would be of the release's window, mixed with the last day's in the same alarm. Outcomes
    of a refused evaluation are left out: nobody knows what users did.
    """
    left_out = OUTCOME_METRICS if evaluation.refused else ()
    of_versions, overall = (
        tuple(metric for metric in metrics if metric not in left_out)
        for metrics in (QUALITY_METRICS, OVERALL_METRICS)
    )
    deps.logger.info("evaluated", extra={"evaluation": evaluation.to_json()})
    for found in evaluation.versions.values():
        # Without a model version they would be taken for the overall metrics.
        if found["model_version"]:
            _publish(deps.metrics, of_versions, found, found["model_version"])
    if evaluation.release_id is None:
        _publish(deps.metrics, overall, evaluation.overall, None)
    else:
        values = (evaluation.difference, evaluation.lower, evaluation.upper)
        named = {m.name: v for m, v in zip(VERDICT_METRICS, values, strict=True)}
        _publish(deps.metrics, VERDICT_METRICS, named, None)


def _publish(
    metrics: EphemeralMetrics,
    declared: tuple[Metric, ...],
    values: Mapping[str, Any],
    model_version: str | None,
) -> None:
    known = {metric: value for metric in declared if (value := values.get(metric.name)) is not None}
    if not known:
        return
    for name, dimension in quality_dimensions(model_version).items():
        metrics.add_dimension(name, dimension)
    for metric, value in known.items():
        metrics.add_metric(metric.name, metric.unit, value)
    metrics.flush_metrics()


handler = lambda_handler(
    Dependencies.from_env, lambda event, found, _: evaluate_online(event, found)
)
