"""What earlier code left in the buckets, opened by the present code: tests/fixtures/before."""

import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from movierec import settings
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.lineage_resolver import LineageResolver
from movierec.releases.log import ReleaseLog
from movierec.releases.registry import Releases
from movierec.releases.traffic_split import Alias, TrafficSplit
from movierec.testing.memory import FakeClock, MemoryStore
from movierec.testing.releases import MemoryAlarms, MemoryFunction, MemoryTopic

FOLDER = Path(__file__).parents[1] / "fixtures" / "before"

FUNCTION = "movierec-api"
CODE_VERSION = "4e0ecfc582eb"
FIRST_MODEL = "20261118T120000Z-4e0ecfc582eb-03b47583c098"
SECOND_MODEL = "20261119T080212Z-4e0ecfc582eb-db3bfc12d51b"
FIRST_DATASET, SECOND_DATASET = "03b47583c098b89a", "db3bfc12d51b3a5f"

BY_HAND = "20261118T120100000Z"
PROMOTED = "20261119T080312000Z"
REFUSED = "20261120T044516000Z"
ALARMED = "20261120T044522000Z"
CHANGED_BY_HAND = "20261120T055048000Z"
WORSE = "20261120T060654000Z"
OPEN = "20261120T062200000Z"

VERSIONS = [(1, FIRST_MODEL), *((code, SECOND_MODEL) for code in (1, 2, 3, 4))]
"""Code and model of each published version of the function."""

NOW = datetime(2026, 11, 20, 6, 34, 4, tzinfo=UTC)
"""When that code wrote its last."""


ROWS = {"events": 667, "served": 18, "quarantine": 4, "movies": 40, "users": 58}
STORED_OFFSET = 670
SHIPPED = 1_794_960_000_000_017
FALLBACK = "76176f8ffde65588ae0a6b5de697e32d"
"""The answer that the proxy gave in the model's place."""


def store():
    """Return the artifacts bucket."""
    return MemoryStore({**_objects("artifacts"), **_objects("releases")})


def lake(folder):
    """Return the lake, unpacked into a folder."""
    with tarfile.open(FOLDER / "lake.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return DeltaLake(str(folder))


def counted(lake):
    """Return the number of each table's rows."""
    return {table: lake.count(table)[""] for table in ROWS}


class _Lambda:
    """Describes the versions of the function that were published."""

    class exceptions:  # noqa: N801  as boto3 spells it
        """None are needed."""

    def get_function_configuration(self, *, FunctionName, Qualifier):  # noqa: N803
        if int(Qualifier) > len(VERSIONS):
            raise ClientError(
                {"Error": {"Code": "ResourceNotFoundException", "Message": Qualifier}}, "Op"
            )
        model = VERSIONS[int(Qualifier) - 1][1]
        return {
            "FunctionName": FunctionName,
            "CodeSha256": "c0de",
            "LastModified": "2026-11-20T06:22:04",
            "Description": f"{ALARMED} {model}",
            "Environment": {
                "Variables": {settings.MODEL_VERSION: model, settings.CODE_VERSION: CODE_VERSION}
            },
        }


def resolver(lake):
    """Return what traces the lake's recommendations through the artifacts and the function."""
    aws: Any = _Lambda()
    return LineageResolver(lake, store(), FUNCTION, aws)


def releases(bucket):
    """Return the releases of the bucket, on the function as it was left."""
    clock = FakeClock(NOW)
    alias = Alias(TrafficSplit("2", "5", 10.0), OPEN, "15")
    function = MemoryFunction(FUNCTION, _code=4, _versions=list(VERSIONS), _alias=alias)
    topic, alarms = MemoryTopic(), MemoryAlarms({"5"}, {"5"})
    return Releases(
        function, ReleaseLog(bucket, clock), clock, alarms, topic, lambda key: f"https://a/{key}"
    )


def _objects(kind):
    with tarfile.open(FOLDER / f"{kind}.tar.gz") as archive:
        files = {entry.name: archive.extractfile(entry) for entry in archive}
        return {name: file.read() for name, file in files.items() if file}
