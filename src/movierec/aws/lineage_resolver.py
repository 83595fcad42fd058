"""Resolve and verify a lineage from the lake, the artifacts bucket and Lambda."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from movierec import settings
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.lambda_function import BY_CODE
from movierec.aws.s3_store import S3Store
from movierec.aws.session import client, translated
from movierec.errors import (
    ObjectNotFoundError,
    ReleaseError,
    ReleaseNotFoundError,
    TableNotFoundError,
    UsageError,
    VersionNotFoundError,
)
from movierec.lake import served
from movierec.lake.ports import LakeReader
from movierec.lake.queries import NAMED_PARTITION, quoted
from movierec.lake.schema import EVENTS, SERVED, as_rows
from movierec.lake.served import Served
from movierec.model import artifact, dataset, overlay, sealed_folder
from movierec.model.overlay import Overlay
from movierec.model.ranking import Recommender
from movierec.model.sealed_folder import MANIFEST_FILE
from movierec.ports import ObjectStore
from movierec.provenance import lineage as provenance
from movierec.provenance.checks import (
    Check,
    check_answer,
    check_builder,
    check_files,
    check_is_gone,
    check_links,
    check_offsets,
    check_overlay_is_gone,
    check_rows,
)
from movierec.provenance.lineage import SITE_CLOCK_WITHIN, Function, Lineage
from movierec.releases.log import ReleaseLog
from movierec.runtime.clock import SystemClock

if TYPE_CHECKING:  # boto3-stubs is not shipped
    from mypy_boto3_lambda.client import LambdaClient

_Rows = list[dict[str, Any]]


@dataclass(slots=True)
class LineageResolver:
    """Finds the lineage of recommendations. `function` is the API's Lambda function.

    Methods raise UsageError when there is no such recommendation, LakeError, StoreError and
    UnavailableError. A later link that is missing ends the lineage, which names it.
    """

    lake: LakeReader
    store: ObjectStore
    function: str
    aws: "LambdaClient" = field(default_factory=lambda: client("lambda"))

    @classmethod
    def from_env(cls, env: Mapping[str, str], function: str) -> Self:
        """Open lake and artifacts as the environment says. Raises ConfigError."""
        store = S3Store.from_env(env, settings.ARTIFACTS_BUCKET)
        return cls(DeltaLake.from_env(env), store, function)

    def by_id(self, recommendation_id: str) -> Lineage:
        """Return the lineage of a recommendation by its X-Recommendation-Id."""
        rows = self._served(f"recommendation_id = {quoted(recommendation_id)}")
        if not rows:
            raise UsageError(
                f"no recommendation {recommendation_id!r} in the lake: check the id; the proxy "
                "writes to the lake in batches, so a fresh one takes some seconds to arrive"
            )
        return self._lineage(rows[0])

    def by_user(self, user_id: int, at: datetime) -> Lineage:
        """Return the lineage of a user's recommendation nearest to a time, within a day of it."""
        rows = self._served(f"user_id = {user_id} and {_around('served_date', at)}")
        found = provenance.nearest(rows, at)
        if found is None:
            raise UsageError(f"user {user_id} was served nothing within a day of {at.isoformat()}")
        return self._lineage(found)

    def verify(self, lineage: Lineage) -> tuple[Check, ...]:
        """Read the data again, at the versions that the manifests name, and compare."""
        checks = list(check_links(lineage))
        if lineage.model is not None:
            key = artifact.key(lineage.served.model_version, "")
            sums = self._sums(key, lineage.model)
            checks += check_files("model", lineage.model, sums)
            checks += self._check_answer(lineage)
        if lineage.dataset is not None:
            key = dataset.key(str(lineage.dataset["dataset_id"]), "")
            sums = self._sums(key, lineage.dataset)
            checks += check_files("data set", lineage.dataset, sums)
            checks += check_builder(lineage.dataset)
            checks += self._check_lake(lineage.dataset)
        return tuple(checks)

    # Links ------------------------------------------------------------------------------

    def _lineage(self, found: Served) -> Lineage:
        missing: list[str] = []
        event = provenance.site_event(found, self._site_rows(found))
        if event is None:
            missing.append("the site's own line: not in the lake (yet), or another list was logged")
        function = self._function(found.function_version, missing)
        model = self._manifest("model", artifact.key(found.model_version, MANIFEST_FILE), missing)
        data = None
        if model is not None:
            key = dataset.key(str(model.get("dataset_id")), MANIFEST_FILE)
            data = self._manifest("data set", key, missing)
        release = self._release(found, function) if function else ()
        return Lineage(found, event, function, release, model, data, tuple(missing))

    def _served(self, condition: str) -> list[Served]:
        sql = f"select * from {SERVED.name} where {condition}"  # noqa: S608  see _text
        return [served.from_row(row) for row in self._rows(sql, SERVED.name)]

    def _site_rows(self, found: Served) -> _Rows:
        day = _around("event_date", found.served_at)
        condition = f"kind = 'recommend' and user_id = {found.user_id} and {day}"
        return self._rows(f"select * from {EVENTS.name} where {condition}", EVENTS.name)  # noqa: S608  numbers and dates

    def _function(self, version: str, missing: list[str]) -> Function | None:
        if not version:
            missing.append("the function: the proxy answered from the last popular list it had")
            return None
        try:
            with translated(f"describe {self.function}:{version}", BY_CODE, ReleaseError):
                found = self.aws.get_function_configuration(
                    FunctionName=self.function, Qualifier=version
                )
        except ReleaseNotFoundError as exc:
            missing.append(f"the function: {exc}")
            return None
        variables = (found.get("Environment") or {}).get("Variables", {})
        return Function(
            name=self.function,
            version=version,
            code_version=variables.get(settings.CODE_VERSION, "unknown"),
            code_sha256=found["CodeSha256"],
            # $LATEST has no model of its own.
            model_version=variables.get(settings.MODEL_VERSION, ""),
            published_at=found["LastModified"],
            description=found.get("Description", ""),
        )

    def _release(self, found: Served, function: Function) -> tuple[Mapping[str, Any], ...]:
        """Return the steps of the release that routed requests to a version, in order.

        Without one (a direct call, a smoke test) it is the release in the version's description,
        which published it.
        """
        log = ReleaseLog(self.store, SystemClock())
        newest_first = (_steps(log, name) for name in reversed(log.releases()))
        behind = provenance.release_behind(found, function.version, newest_first)
        return behind or _steps(log, function.description.partition(" ")[0])

    def _manifest(self, what: str, key: str, missing: list[str]) -> dict[str, Any] | None:
        try:
            return sealed_folder.open_manifest(self.store.get(key))
        except ObjectNotFoundError as exc:
            missing.append(f"the {what}: {exc}")
            return None

    # Verification -----------------------------------------------------------------------

    def _sums(self, prefix: str, manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        """Return the checksum of each file of a manifest that exists."""
        found: dict[str, Mapping[str, Any]] = {}
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "file"
            for name in manifest.get("files", {}):
                try:
                    self.store.download(prefix + name, path)
                except ObjectNotFoundError:
                    continue
                with path.open("rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
                found[name] = {"sha256": digest, "size_bytes": path.stat().st_size}
        return found

    def _check_answer(self, lineage: Lineage) -> Iterator[Check]:
        """Recommend again for the same user, by the same refresh, unless the proxy answered."""
        found = lineage.served
        if found.source not in ("model", "popular") or not found.movie_ids:
            return
        with tempfile.TemporaryDirectory() as scratch:
            for name in artifact.SERVING_FILES:
                self.store.download(artifact.key(found.model_version, name), Path(scratch) / name)
            recommender = Recommender.open(Path(scratch))
            number, newer = served.refresh_of(found), Overlay.empty()
            if number:
                n_movies = len(recommender.movie_ids)
                try:
                    newer = overlay.load(self.store, found.model_version, number, n_movies)
                except ObjectNotFoundError as exc:
                    yield check_overlay_is_gone(number, str(exc))
                    return
            again = recommender.recommend(found.user_id, overlay=newer)
        yield check_answer(found, again)

    def _check_lake(self, manifest: Mapping[str, Any]) -> Iterator[Check]:
        version = manifest["lake"]["versions"][EVENTS.name]
        since = manifest.get("parameters", {}).get("since")
        condition = f"event_date >= cast({quoted(since)} as date)" if since else "true"
        try:
            kinds = self._rows(_BY_KIND.format(condition=condition), EVENTS.name, version)
            # Kinds are counted from the log alone, even if the files are gone; this opens them.
            name = _name_in(manifest)
            sql = _BY_PARTITION.format(name=name, condition=condition)
            parts = self._rows(sql, EVENTS.name, version)
        except VersionNotFoundError as exc:
            yield check_is_gone(EVENTS.name, version, str(exc))
            return
        counted = {row["kind"]: int(row["n"]) for row in kinds}
        yield from check_rows(manifest, counted)
        offsets = {row.pop("name"): row for row in parts}
        yield from check_offsets(manifest, offsets)

    def _rows(self, sql: str, table: str, version: int | None = None) -> _Rows:
        try:
            found = self.lake.query(sql, {table: version})
        except TableNotFoundError:
            return []
        return as_rows({name: found.column(name).to_pylist() for name in found.column_names})


def _steps(log: ReleaseLog, release: str) -> tuple[Mapping[str, Any], ...]:
    """Return a release's steps in order, as JSON; none if there is no such release."""
    try:
        return tuple(asdict(step) for step in log.steps(release, holds=False))
    except ReleaseNotFoundError:
        return ()


_BY_KIND: Final = "select kind, count(*) n from events where {condition} group by 1"

_BY_PARTITION: Final = """
select {name} as name, min(kafka_offset) as first, max(kafka_offset) as last, count(*) as rows
from events where kafka_partition is not null and {condition} group by 1
"""


def _name_in(manifest: Mapping[str, Any]) -> str:
    """Return how a manifest names partitions, in SQL: those of before know no topics."""
    names = manifest.get("lake", {}).get("offsets", {})
    alone = all(name.isdecimal() for name in names)
    return "cast(kafka_partition as varchar)" if alone else NAMED_PARTITION


def _around(column: str, at: datetime) -> str:
    first, last = (at - SITE_CLOCK_WITHIN).date(), (at + SITE_CLOCK_WITHIN).date()
    return f"{column} between date '{first}' and date '{last}'"
