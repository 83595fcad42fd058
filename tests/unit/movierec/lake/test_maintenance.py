from datetime import date

import pytest

from movierec import settings
from movierec.errors import ConfigError
from movierec.lake.maintenance import (
    LakeFile,
    Policy,
    compaction_candidates,
    expired,
    retention_properties,
)
from movierec.lake.schema import TABLES

TODAY = date(2026, 11, 20)
MB = 1 << 20


def files(day, *sizes_mb):
    return [LakeFile((("event_date", day),), size * MB) for size in sizes_mb]


def days(found):
    return [dict(partition)["event_date"] for partition in found]


def test_watching_is_kept_for_180_days_and_nothing_else_ever_goes():
    predicates = {table: expired(table, TODAY, Policy()) for table in TABLES}

    assert predicates.pop("events") == "kind = 'watch' AND event_date < '2026-05-24'"
    assert set(predicates.values()) == {None}


def test_a_retention_of_nothing_keeps_for_ever():
    assert expired("events", TODAY, Policy(watch_retention_days=0)) is None


def test_partitions_of_many_small_files_come_first_and_those_of_few_not_at_all():
    found = compaction_candidates(
        [*files("mon", 1, 2, 3), *files("tue", 1, 1, 1, 1), *files("wed", 1, 1, 1, 1, 1)], Policy()
    )

    assert days(found) == ["wed", "tue"]


def test_files_of_the_target_size_are_left_alone():
    target = Policy().target_bytes // MB

    assert compaction_candidates(files("mon", *[target] * 9, 1, 1, 1), Policy()) == []


def test_a_table_without_partitions_is_one():
    assert compaction_candidates([LakeFile((), 1)] * 4, Policy()) == [()]


def test_the_environment_sets_both_retentions():
    env = {settings.WATCH_RETENTION_DAYS: "30", settings.VACUUM_RETENTION_HOURS: "168"}
    policy = Policy.from_env(env)

    assert (policy.watch_retention_days, policy.vacuum_retention_hours) == (30, 168)
    assert Policy.from_env({}) == Policy()


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({settings.VACUUM_RETENTION_HOURS: "24"}, "set 168 or more"),
        ({settings.WATCH_RETENTION_DAYS: "-1"}, "whole number"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(env, words):
    with pytest.raises(ConfigError, match=words):
        Policy.from_env(env)


def test_log_and_files_are_kept_equally_long():
    assert set(retention_properties(720).values()) == {"interval 720 hours"}
