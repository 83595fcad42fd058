"""Names that are stored, sent or set from outside: code may be renamed around them, they may not.

A new one may be added to most of these tables; one that is there is read by what was written
before, by a dashboard, or by somebody's deployment.
"""

import json
from dataclasses import fields
from datetime import UTC, datetime
from typing import get_args

import pytest

from functions.evaluate_online import handler as evaluate_online
from functions.train_als import als
from ingest_worker import kafka_source
from ingest_worker.worker import epoch_of
from movierec import api_contract, metrics, settings
from movierec.aws.cloudwatch_alarms import version_in
from movierec.lake import log_lines
from movierec.lake import schema as lake_schema
from movierec.lake.maintenance import FILE_RETENTION
from movierec.lake.served import Served
from movierec.model import artifact, dataset, dataset_parameters, ranking, sealed_folder
from movierec.releases import evaluation, notifications, state_machine
from movierec.releases import log as release_log
from movierec.releases.evaluation import Evaluation
from movierec.releases.log import Step
from movierec.releases.policy import Policy
from movierec.releases.request import Request
from movierec.releases.sequential_test import Verdict
from movierec.releases.traffic_split import ALIAS, TrafficSplit
from movierec.stack import layout
from movierec.testing.memory import MemoryLake
from proxy import answers
from proxy.journal import Journal
from proxy.journal_record import to_line
from proxy.lake_writer import LakeWriter

AT = datetime(2026, 11, 20, 10, 15, 0, 123_456, UTC)

# Object keys ----------------------------------------------------------------------------------

KEYS = [
    (artifact.key("v", "topk.npy"), "models/v/topk.npy"),
    (dataset.key("d", "indptr.npy"), "datasets/d/indptr.npy"),
    (release_log.folder("r"), "releases/r/"),
    (release_log.step_key("r", 7, "weigh"), "releases/r/0007-weigh.json"),
    (release_log.page_key("r"), "releases/r/page.html"),
    (evaluation.trials_key("r", AT), "releases/r/trials/20261120T101500123456Z.npz"),
    (notifications.record_key("r", "start", "sns"), "releases/r/notices/start-sns.json"),
    (release_log.release_id(AT), "20261120T101500123Z"),
    (release_log.stamp(AT), "2026-11-20T10:15:00.123+00:00"),
    (artifact.model_version(AT, "0a1b-dirty", "d" * 16), f"20261120T101500Z-0a1b_dirty-{'d' * 12}"),
    (sealed_folder.MANIFEST_FILE, "manifest.json"),
    (sealed_folder.FORMAT_VERSION, 1),
]

MODEL_FILES = [
    *("manifest.json", "movie_ids.json", "popular.json", "user_ids.npy", "user_groups.npy"),
    "topk.npy",
]
DATASET_FILES = [
    *("indptr.npy", "movies.npy", "strength.npy", "ratings.npy", "last_at.npy", "part.npy"),
    *("user_ids.npy", "adult.npy", "user_groups.npy", "movie_ids.json"),
]


@pytest.mark.parametrize(("found", "stored"), KEYS, ids=[str(stored) for _, stored in KEYS])
def test_a_key_is_what_it_was(found, stored):
    assert found == stored


def test_the_files_of_models_and_data_sets_are_what_they_were():
    assert list(artifact.SERVING_FILES) == MODEL_FILES
    assert list(dataset.FILES) == DATASET_FILES
    assert artifact.OPTIONAL_SERVING_FILES == (dataset.COSTS_FILE,) == ("movie_costs.npy",)
    assert (artifact.USER_FACTORS_FILE, artifact.ITEM_FACTORS_FILE) == (
        "user_factors.npy",
        "item_factors.npy",
    )
    assert (artifact.REPORT_FILE, artifact.REPORT_PAGE_FILE) == ("report.json", "report.html")


# Releases -------------------------------------------------------------------------------------

STEP_NAMES = "start gate cut smoke route weigh hold pause resume promote rollback abort"
STATES = ("start", "gate", "cut", "smoke", "exposed", "promoted", "rolled back", "aborted")

JSON_FIELDS = {
    Step: "release_id function model_version before name version after reason at facts",
    TrafficSplit: "stable canary canary_percent",
    Request: "model_version code again",
    Policy: "steps alpha margin min_trials sharpest_at_trials dwell_s step_limit_s look_s "
    "horizon_s settle_s on_busy",
    Evaluation: "release_id at until lake_versions versions overall trials hits mixed_windows "
    "difference lower upper verdict trials_key trials_sha256",
    dataset_parameters.Parameters: "since min_positive_rating max_rating min_watched_share "
    "min_movie_users held_out_share min_users min_interactions",
    als.Parameters: "factors regularization alpha iterations seed",
    Served: "served_at_us recommendation_id user_id movie_ids model_version function_version "
    "source status latency_ms detail",
}


def test_steps_and_states_have_the_names_that_they_had():
    assert " ".join(get_args(release_log.StepName)) == STEP_NAMES
    assert {"promote", "rollback", "abort"} == release_log.CLOSING
    assert get_args(state_machine.State) == STATES
    assert get_args(Verdict) == ("worse", "fine", "unclear")
    assert set(notifications.TITLES) == {"start", "promote", "rollback", "abort"}


@pytest.mark.parametrize("kind", JSON_FIELDS, ids=lambda kind: kind.__qualname__)
def test_json_is_written_by_the_names_that_it_had(kind):
    names = {field.name for field in fields(kind)}
    assert set(JSON_FIELDS[kind].split()) <= names


def test_a_version_is_found_by_alias_alarm_and_description():
    assert ALIAS == "live"
    assert version_in("movierec-canary-3-errors") == "3"
    described = release_log.describe_version("r", "m", "nightly")
    assert described == "r m nightly"


# The lake -------------------------------------------------------------------------------------

COLUMNS = {
    "events": "kind:text event_date:date event_time:timestamp user_id:int64 movie_id:text "
    "minute:int32 rating:int16 status:int16 movie_ids:texts error:text latency_ms:int32 "
    "server:text kafka_partition:int32 kafka_offset:int64",
    "served": "served_date:date served_at:timestamp recommendation_id:text user_id:int64 "
    "movie_ids:texts model_version:text function_version:text source:text status:int16 "
    "latency_ms:float64",
    "quarantine": "quarantined_date:date raw:bytes reason:text kafka_partition:int32 "
    "kafka_offset:int64 ingested_at:timestamp",
    "movies": "movie_id:text title:text runtime_minutes:int32 adult:int16 genres:texts "
    "release_date:text loaded_at:timestamp cost_usd:float64 imdb_id:text tmdb_id:int64 "
    "vote_average:float64 vote_count:int64 popularity:float64 original_language:text "
    "spoken_languages:texts keywords:texts overview:text other:text",
    "users": "user_id:int64 age:int16 gender:text occupation:text loaded_at:timestamp "
    "self_description_likes:text self_description_dislikes:text other:text",
}

PARTITIONED_BY = {
    "events": ("kind", "event_date"),
    "served": ("served_date",),
    "quarantine": ("quarantined_date",),
    "movies": (),
    "users": (),
}

REASONS = (
    "empty line_break bad_time bad_user unknown_request bad_movie bad_minute bad_rating "
    "bad_recommendation duplicate user_out_of_range rating_out_of_range minute_out_of_range "
    "unknown_movie bad_server bad_status bad_result bad_latency time_out_of_range"
)


@pytest.mark.parametrize("table", COLUMNS)
def test_a_table_has_the_columns_that_it_had(table):
    spec = lake_schema.TABLES[table]
    stored = dict(pair.split(":") for pair in COLUMNS[table].split())
    assert stored.items() <= dict(spec.columns).items()
    assert spec.partition_by == PARTITIONED_BY[table]


def test_transactions_have_the_names_that_they_had(tmp_path):
    """Another name would begin again at the first offset: every row twice."""
    assert epoch_of("movielog1-0") == "movielog1-0:term"
    lake, journal = MemoryLake(), Journal(tmp_path, first_sequence=100)
    journal.append(Served(1, "r", 42, ("a",), "m", "7", "model", 200, 12.5))
    journal.seal()
    LakeWriter(lambda: lake, proxy_id="east").ship(journal.sealed)
    assert lake.transaction("served", "proxy-east") == 100


def test_values_in_columns_are_those_that_they_were():
    assert set(REASONS.split()) <= set(log_lines.Reason)
    assert set(get_args(answers.Source)) == {"model", "popular", "fallback"}
    assert set(get_args(ranking.Source)) == {"model", "popular"}
    assert lake_schema.ADULT_UNKNOWN == -1
    assert (lake_schema.AGE_UNKNOWN, lake_schema.RUNTIME_UNKNOWN) == (-1, 0)
    assert FILE_RETENTION == "delta.deletedFileRetentionDuration"


def test_a_line_of_the_journal_has_the_names_that_it_had(tmp_path):
    line = to_line(5, Served(1, "r", 42, ("a",), "m", "7", "model", 200, 12.5, '{"v":1}'))
    assert list(json.loads(line)) == ["sequence", *JSON_FIELDS[Served].split()]
    Journal(tmp_path, first_sequence=5).close()
    assert [path.name for path in tmp_path.iterdir()] == ["0000000000000000005.jsonl"]


# HTTP, Kafka, metrics, logs -------------------------------------------------------------------

HTTP = [
    (api_contract.RECOMMEND_PATH, "/recommend/"),
    (api_contract.POPULAR_PATH, "/popular"),
    (api_contract.VERSION_PATH, "/version"),
    (api_contract.HEALTH_PATH, "/healthz"),
    (api_contract.METRICS_PATH, "/metrics"),
    (api_contract.MODEL_VERSION, "X-Model-Version"),
    (api_contract.FUNCTION_VERSION, "X-Function-Version"),
    (api_contract.RECOMMENDATION_ID, "X-Recommendation-Id"),
    (api_contract.RECOMMENDATION_SOURCE, "X-Recommendation-Source"),
    (api_contract.RECOMMENDATION_DETAIL, "X-Recommendation-Detail"),
    (api_contract.dump_detail({"known_user": True}), '{"v":1,"known_user":true}'),
    (settings.DEFAULT_TOPIC, "movielog1"),
    (kafka_source.GROUP, "movierec-ingest"),
    (metrics.NAMESPACE, "movierec"),
    (metrics.API_SERVICE, "movierec-api"),
    (metrics.QUALITY_SERVICE, "movierec-quality"),
    (metrics.INGEST_DIMENSIONS, {"service": "movierec-ingest"}),
    (metrics.quality_dimensions("m"), {"ModelVersion": "m"}),
    (evaluate_online.SERVICE, "movierec-evaluate-online"),
]

METRICS = (
    "Requests Error Slow Fallback ColdStart LatencyMs DatasetUsers DatasetMovies "
    "DatasetInteractions TrainingDuration ModelRecall ModelNdcg ModelCoverage LakeRowsDeleted "
    "LakeFilesCompacted LakeFilesVacuumed LakePartitionsLeft IngestLag IngestLagSeconds "
    "QuarantineRate HitRate WatchFraction MeanRating Score Coverage Novelty ResponseTimeMs "
    "ListCostUsd WatchedCostUsd WatchedCostTotalUsd "
    "Availability AverageRating ModelAgeDays HitRateDifference HitRateDifferenceLower "
    "HitRateDifferenceUpper"
)


@pytest.mark.parametrize(("found", "sent"), HTTP, ids=[str(sent) for _, sent in HTTP])
def test_what_is_sent_is_called_what_it_was(found, sent):
    assert found == sent


def test_metrics_have_the_names_that_they_had():
    found = {value.name for value in vars(metrics).values() if isinstance(value, metrics.Metric)}
    assert set(METRICS.split()) <= found


# Environment ----------------------------------------------------------------------------------

VARIABLES = [
    "MOVIEREC_LAKE_BUCKET",
    "MOVIEREC_ARTIFACTS_BUCKET",
    "MOVIEREC_CODE_VERSION",
    "MODEL_VERSION",
    "MOVIEREC_SLOW_MS",
    "MOVIEREC_KAFKA_BOOTSTRAP",
    "MOVIEREC_KAFKA_SECURITY_PROTOCOL",
    "MOVIEREC_KAFKA_SASL_MECHANISM",
    "MOVIEREC_KAFKA_SASL_USERNAME",
    "MOVIEREC_KAFKA_SASL_PASSWORD",
    "MOVIEREC_KAFKA_SSL_CAFILE",
    "MOVIEREC_KAFKA_SSL_CERTFILE",
    "MOVIEREC_KAFKA_SSL_KEYFILE",
    "MOVIEREC_KAFKA_SSL_PASSWORD",
    "MOVIEREC_KAFKA_CLIENT",
    "MOVIEREC_TOPIC",
    "MOVIEREC_MAX_USER_ID",
    "MOVIEREC_WATCH_RETENTION_DAYS",
    "MOVIEREC_VACUUM_RETENTION_HOURS",
    "MOVIEREC_EARLIEST_EVENT_TIME",
    "MOVIEREC_MIN_RATING",
    "MOVIEREC_MAX_RATING",
    "MOVIEREC_LISTEN",
    "MOVIEREC_API_URL",
    "MOVIEREC_API_FUNCTION",
    "MOVIEREC_REFRESH_FUNCTION",
    "MOVIEREC_REST_API",
    "MOVIEREC_RELEASE_POLICY",
    "MOVIEREC_STATE_MACHINE",
    "MOVIEREC_RELEASE_MACHINE",
    "MOVIEREC_CANARY_ALARMS",
    "MOVIEREC_RELEASES_TOPIC",
    "MOVIEREC_SLACK_WEBHOOK",
    "MOVIEREC_LANGUAGE_MODEL_URL",
    "MOVIEREC_LANGUAGE_MODEL_NAME",
    "MOVIEREC_LANGUAGE_MODEL_API_KEY",
    "MOVIEREC_LANGUAGE_MODEL_API_KEY_SECRET",
    "MOVIEREC_LANGUAGE_MODEL_PROMPT_USD",
    "MOVIEREC_LANGUAGE_MODEL_COMPLETION_USD",
    "MOVIEREC_LANGUAGE_MODEL_BUDGET_USD",
    "MOVIEREC_LANGUAGE_MODEL_LIMIT_S",
    "MOVIEREC_PROXY_URL",
    "MOVIEREC_SITE_URL",
]


@pytest.mark.parametrize("name", VARIABLES)
def test_an_environment_variable_is_called_what_it_was(name):
    assert name in vars(settings).values()


def test_a_run_is_found_by_the_variable_that_it_was():
    assert layout.HOME == "MOVIEREC_HOME"
