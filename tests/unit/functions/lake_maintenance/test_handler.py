"""What upkeep did is answered and told; what it could not do is raised, after the rest was told."""

import json

import pytest
from aws_lambda_powertools import Logger, Metrics

from functions.lake_maintenance import handler
from functions.lake_maintenance.handler import Dependencies, maintain_lake
from movierec import metrics as live_metrics
from movierec.aws.delta_maintenance import Maintained
from movierec.errors import ConfigError, LakeError

EVENTS = Maintained("events", 9, 100, 12, 3, 40, 1)
SERVED = Maintained("served", 4, files_removed=5, files_added=1)


def deps_of(*tables):
    metrics = Metrics(namespace=live_metrics.NAMESPACE, service=handler.SERVICE)
    return Dependencies(lambda _time_left_s: tables, Logger(service=handler.SERVICE), metrics)


def emitted(capsys):
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (found,) = [line for line in lines if "_aws" in line]
    return {metric.name: found[metric.name] for metric in live_metrics.UPKEEP_METRICS}, found


def test_each_table_is_answered_and_their_sums_are_metrics(capsys):
    answer = maintain_lake(deps_of(EVENTS, SERVED), lambda: 900.0)

    assert list(answer["tables"]) == ["events", "served"]
    assert answer["tables"]["events"] == {
        "version": 9,
        "rows_deleted": 100,
        "files_removed": 12,
        "files_added": 3,
        "files_vacuumed": 40,
        "partitions_left": 1,
    }
    values, line = emitted(capsys)
    assert values == {
        "LakeRowsDeleted": [100],
        "LakeFilesCompacted": [17],
        "LakeFilesVacuumed": [40],
        "LakePartitionsLeft": [1],
    }
    assert line["service"] == handler.SERVICE


def test_a_table_that_was_not_kept_is_named_when_the_others_are_told(capsys):
    broken = Maintained("quarantine", 2, error="a conflict that did not end")

    with pytest.raises(LakeError, match="quarantine was not kept: a conflict that did not end"):
        maintain_lake(deps_of(EVENTS, broken), lambda: 900.0)

    assert emitted(capsys)[0]["LakeRowsDeleted"] == [100]


def test_the_keeper_is_told_how_much_time_is_left():
    asked = []
    deps = deps_of()

    def keep(time_left_s):
        asked.append(time_left_s())
        return ()

    maintain_lake(Dependencies(keep, deps.logger, deps.metrics), lambda: 12.5)

    assert asked == [12.5]


def test_without_a_lake_one_is_told_which_setting_is_missing():
    with pytest.raises(ConfigError, match="MOVIEREC_LAKE_BUCKET"):
        Dependencies.from_env({})
