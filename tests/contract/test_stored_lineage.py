"""Recommendations and data sets of earlier code, traced and built again by the present code."""

import logging
from datetime import datetime
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.build_dataset.handler import Dependencies, build_dataset
from movierec.model import dataset as datasets
from movierec.testing.memory import MemoryStore
from tests.contract import stored_before
from tests.contract.stored_before import (
    BY_HAND,
    CHANGED_BY_HAND,
    CODE_VERSION,
    FALLBACK,
    FIRST_DATASET,
    FIRST_MODEL,
    OPEN,
    PROMOTED,
    SECOND_DATASET,
    SECOND_MODEL,
)

# Recommendation, user, function version, release, model, data set, offset of the site's line.
LINEAGES = [
    ("aea52033c0bc5274aefdbcbdf61e9283", 1, "1", BY_HAND, FIRST_MODEL, FIRST_DATASET, 254),
    ("e634eab8ce525ea0aae989deddf916a0", 999, "1", BY_HAND, FIRST_MODEL, FIRST_DATASET, 257),
    ("d57ee35109b45a0ab942b64e2ac58b01", 1, "2", PROMOTED, SECOND_MODEL, SECOND_DATASET, 621),
    (
        *("817f7ca8c2db5d1b9e600f675e7bbe3f", 4, "3", CHANGED_BY_HAND),
        *(SECOND_MODEL, SECOND_DATASET, 627),
    ),
    ("bd309172c3685d248066497ad231569f", 6, "5", OPEN, SECOND_MODEL, SECOND_DATASET, 629),
]


@pytest.fixture
def lake(tmp_path):
    return stored_before.lake(tmp_path / "lake")


@pytest.fixture
def resolver(lake):
    return stored_before.resolver(lake)


@pytest.mark.parametrize("expected", LINEAGES, ids=lambda expected: f"version {expected[2]}")
def test_a_recommendation_is_traced_to_everything_that_it_came_from(resolver, expected):
    recommendation, user, version, release, model, dataset, offset = expected
    found = resolver.by_id(recommendation)
    assert found.missing == ()
    assert (found.served.user_id, found.function.version) == (user, version)
    assert {step["release_id"] for step in found.release} == {release}
    assert (found.model["model_version"], found.dataset["dataset_id"]) == (model, dataset)
    assert (found.site_event["kafka_partition"], found.site_event["kafka_offset"]) == (0, offset)


@pytest.mark.parametrize("expected", LINEAGES, ids=lambda expected: f"version {expected[2]}")
def test_everything_that_it_came_from_is_still_as_it_was(resolver, expected):
    checks = resolver.verify(resolver.by_id(expected[0]))
    assert len(checks) > 20
    assert [check for check in checks if not check.ok] == []


def test_a_user_and_a_time_lead_to_the_recommendation(resolver):
    found = resolver.by_user(6, datetime.fromisoformat("2026-11-20T06:40:00+00:00"))
    assert found.served.recommendation_id == "bd309172c3685d248066497ad231569f"


def test_a_fallback_of_the_proxy_is_told_from_the_models_answers(resolver):
    found = resolver.by_id(FALLBACK)
    assert (found.served.source, found.function) == ("fallback", None)
    assert found.site_event["kafka_offset"] == 626


def dependencies(lake, store):
    logger = Logger(service="stored-test", level=logging.CRITICAL)
    metrics: Any = EphemeralMetrics(service="", namespace="test")
    return Dependencies(lake, store, CODE_VERSION, logger, metrics)


def test_the_same_rows_and_parameters_give_the_same_data_set(lake):
    event = {"parameters": {"min_movie_users": 3, "held_out_share": 0.2}}
    said = build_dataset(event, dependencies(lake, MemoryStore()))
    assert said == {
        "dataset_id": "4f5a9bbb0ce612aa",
        "created": True,
        "users": 60,
        "movies": 40,
        "interactions": 481,
        "positive": 395,
        "test": 97,
        "lake_versions": {"events": 8, "movies": 3, "quarantine": 5, "users": 3},
        "warnings": [],
    }


def test_a_stored_data_set_is_built_again_from_the_past_to_the_same_bytes(lake):
    versions = {"events": 5, "movies": 2, "quarantine": 3, "users": 2}
    event = {"lake_versions": versions, "expected_dataset_id": SECOND_DATASET}
    built, stored = MemoryStore(), stored_before.store()
    assert build_dataset(event, dependencies(lake, built))["created"]
    for name in datasets.FILES:
        key = datasets.key(SECOND_DATASET, name)
        assert built.get(key) == stored.get(key)


def test_a_data_set_that_is_there_is_not_built_anew(lake):
    event = {"lake_versions": {"events": 5, "movies": 2, "quarantine": 3, "users": 2}}
    said = build_dataset(event, dependencies(lake, stored_before.store()))
    assert (said["dataset_id"], said["created"]) == (SECOND_DATASET, False)
