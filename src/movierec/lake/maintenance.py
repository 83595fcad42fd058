"""Plan lake maintenance: which rows are past their retention, which partitions to compact.

`movierec.aws.delta_maintenance` carries it out.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Self

from movierec import settings
from movierec.errors import ConfigError
from movierec.lake.schema import EVENTS

# Tastes change within half a year; ratings, far fewer, are kept for ever.
DEFAULT_WATCH_RETENTION_DAYS: Final = 180

FILE_RETENTION: Final = "delta.deletedFileRetentionDuration"
"""Property of a Delta table: how long vacuum spares deleted files; 7 days if unset."""

DEFAULT_VACUUM_RETENTION_HOURS: Final = 30 * 24

# Delta's own default. With much less, vacuum would remove files of commits that are still being
# written, and of queries that are still reading.
LEAST_VACUUM_RETENTION_HOURS: Final = 7 * 24

# An ingest worker under load writes a file a partition every two seconds, of some 100 kB. Delta's
# readers open each of them; 128 MB is a good split size for Spark and Athena.
_TARGET_BYTES: Final = 128 << 20

# With fewer, a few new lines would have the partition's file of 100 MB rewritten.
_FEW_FILES: Final = 4

Partition = tuple[tuple[str, str], ...]
"""Column and value of each column that a table is partitioned by; a null is ""."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Retention of rows and files, and the target size of a file."""

    watch_retention_days: int = DEFAULT_WATCH_RETENTION_DAYS
    vacuum_retention_hours: int = DEFAULT_VACUUM_RETENTION_HOURS
    target_bytes: int = _TARGET_BYTES
    few_files: int = _FEW_FILES

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Return the policy that the environment sets. Raises ConfigError."""
        days = settings.whole_number(
            env, settings.WATCH_RETENTION_DAYS, DEFAULT_WATCH_RETENTION_DAYS
        )
        hours = settings.whole_number(
            env, settings.VACUUM_RETENTION_HOURS, DEFAULT_VACUUM_RETENTION_HOURS
        )
        if hours < LEAST_VACUUM_RETENTION_HOURS:
            raise ConfigError(
                f"{settings.VACUUM_RETENTION_HOURS} is {hours}: set {LEAST_VACUUM_RETENTION_HOURS} "
                "or more, or vacuum would remove files that are still written or read"
            )
        return cls(watch_retention_days=days, vacuum_retention_hours=hours)


@dataclass(frozen=True, slots=True)
class LakeFile:
    """A file of a table: its partition and size."""

    partition: Partition
    size_bytes: int


def retention_properties(hours: int) -> dict[str, str]:
    """Return the properties of a Delta table that can be read as of any time in the last `hours`.

    Log and deleted files have the same retention: if a checkpoint dropped a file's tombstone
    earlier, vacuum would go by the day the file was written, not the day it was deleted.
    https://docs.delta.io/latest/table-properties.html
    """
    return {
        "delta.logRetentionDuration": f"interval {hours} hours",
        FILE_RETENTION: f"interval {hours} hours",
    }


def expired(table: str, today: date, policy: Policy) -> str | None:
    """Return the SQL predicate of the rows of a table that are past their retention, or None.

    It uses partition columns alone: whole files are deleted, none is rewritten.
    """
    if table != EVENTS.name or not policy.watch_retention_days:
        return None
    first_kept = today - timedelta(days=policy.watch_retention_days)
    return f"kind = 'watch' AND event_date < '{first_kept}'"


def compaction_candidates(files: Iterable[LakeFile], policy: Policy) -> list[Partition]:
    """Return the partitions worth compacting, those with the most small files first."""
    small: defaultdict[Partition, int] = defaultdict(int)
    for file in files:
        small[file.partition] += file.size_bytes < policy.target_bytes
    worth = [partition for partition, count in small.items() if count >= policy.few_files]
    return sorted(worth, key=lambda partition: (-small[partition], partition))
