"""The lake on Delta tables: exactly-once appends, and SQL at any version."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

from arro3.core import RecordBatch, RecordBatchReader
from arro3.core import Table as ArrowTable
from deltalake import CommitProperties, DeltaTable, QueryBuilder, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from movierec import errors, settings
from movierec.aws import arrow_columns
from movierec.lake.maintenance import (
    DEFAULT_VACUUM_RETENTION_HOURS,
    FILE_RETENTION,
    retention_properties,
)
from movierec.lake.queries import of_topics
from movierec.lake.schema import QUARANTINE, TABLES, Columns, Table

# Without compaction a table grows a file per partition and commit; delta-rs checkpoints its log
# every 100 commits by default, so that opening the table stays cheap.
_TABLE_CONFIG: Final = retention_properties(DEFAULT_VACUUM_RETENTION_HOURS)

# An append conflicts with a deletion, of which maintenance makes one a day: a retry succeeds.
_TRIES: Final = 4


@dataclass(frozen=True, slots=True)
class _Seen:
    """A transaction's sequence number, None without one, at a version of the table."""

    sequence: int | None
    version: int | None


_NEVER: Final = _Seen(None, None)


class DeltaLake:
    """`movierec.lake.ports.Lake` on Delta tables below one folder or `s3://bucket`."""

    def __init__(self, root: str, storage_options: Mapping[str, str] | None = None) -> None:
        self._root = root.rstrip("/")
        self._storage_options = dict(storage_options or {})
        self._tables = dict(TABLES)
        self._open: dict[str, DeltaTable] = {}
        self._seen: dict[tuple[str, str], _Seen] = {}

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Open the lake in the bucket MOVIEREC_LAKE_BUCKET. Raises ConfigError."""
        bucket = settings.require(env, settings.LAKE_BUCKET)
        return cls(f"s3://{bucket}", _storage_options(env))

    def add_table(self, table: Table) -> None:
        """Have `append` take another table than those of the schema."""
        self._tables[table.name] = table

    def clear(self, table: str) -> None:
        """Delete all rows, in one commit. Raises TableNotFoundError."""
        delta = self._existing(table)
        with delta_errors(f"clear {self._uri(table)}"):
            delta.delete()

    def append(
        self, table: str, batches: Sequence[Columns], *, transactions: Mapping[str, int]
    ) -> int:
        """Append rows in one atomic commit; see `movierec.lake.ports.Lake.append`.

        Two checks fence a stale writer off. Each transaction's sequence number must still be the
        one that this object last read; and if another writer commits between that read and this
        commit, Delta's own conflict check refuses the second of two commits with the same name
        (Delta protocol, "Transaction Identifiers").

        An append that conflicts with a deletion by maintenance is retried here.
        """
        spec = self._tables[table]
        rows = [
            arrow_columns.record_batch(spec, batch)
            for batch in batches or [arrow_columns.empty_batch(spec)]
        ]
        delta = self._table(spec)
        with delta_errors(f"append to {self._uri(table)}"):
            self._commit(delta, spec, rows, transactions)
        return int(delta.version())

    def transaction(self, table: str, name: str) -> int | None:
        """Return the last committed sequence number of `name`, as the table is now."""
        try:
            delta = self._existing(table)
        except errors.TableNotFoundError:
            seen = _NEVER
        else:
            seen = _Seen(delta.transaction_version(name), delta.version())
        self._seen[table, name] = seen
        return seen.sequence

    def version(self, table: str) -> int:
        """Return the table's present version. Raises TableNotFoundError."""
        return int(self._existing(table).version())

    def count(self, table: str, by: str | None = None) -> Mapping[str, int]:
        """Return the number of rows for each value of column `by`, or `{"": n}`."""
        key = f"cast({by} as varchar)" if by else "''"
        try:
            rows = self.query(f"select {key} k, count(*) n from {table} group by 1", {table: None})  # noqa: S608  our own names
        except errors.TableNotFoundError:
            return {}
        return dict(zip(rows.column("k").to_pylist(), rows.column("n").to_pylist(), strict=True))

    def quarantined_offsets(
        self, topics: Collection[str | None], partition: int, *, after: int
    ) -> frozenset[int]:
        """Return the Kafka offsets of a partition's quarantined lines past an offset."""
        sql = (
            "select kafka_offset from quarantine "  # noqa: S608  numbers, and topics' legal names
            f"where kafka_partition = {partition:d} and kafka_offset > {after:d} "
            f"and {of_topics(topics)}"
        )
        rows = self.query_if_any(sql, QUARANTINE.name)
        return frozenset(rows.column("kafka_offset").to_pylist() if rows else ())

    def query_if_any(self, sql: str, *tables: str) -> ArrowTable | None:
        """Run SQL over the newest versions; None if one of the tables was never written."""
        try:
            return self.query(sql, dict.fromkeys(tables))
        except errors.TableNotFoundError:
            return None

    def query(self, sql: str, versions: Mapping[str, int | None]) -> ArrowTable:
        """Run SQL (Apache DataFusion's) over tables at given versions; None is the newest.

        Raises TableNotFoundError for a table that was never written, VersionNotFoundError for a
        version that is no longer kept.
        """
        builder, grown = QueryBuilder(), dict[str, str]()
        for table, version in versions.items():
            at = self._at(table, version)
            if nulls := _lacking(table, at):
                grown[table] = f"select *, {nulls} from {table}{_AS_STORED}"  # noqa: S608  our own names
            builder = builder.register(f"{table}{_AS_STORED}" if nulls else table, at)
        try:
            with delta_errors(f"query {', '.join(versions)} in {self._root}"):
                found = builder.execute(_over(grown, sql)).read_all()
                # Without a batch arro3 makes no numpy array of a column, not even an empty one.
                return found if found.num_rows else found.combine_chunks()
        except errors.LakeError as exc:
            self._refuse_vacuumed(versions, exc)
            raise

    def open(self, table: str, version: int | None = None) -> DeltaTable:
        """Return a handle of the caller's own, for `movierec.aws.delta_maintenance`.

        Raises TableNotFoundError.
        """
        at = "" if version is None else f" at version {version}"
        with delta_errors(f"open {self._uri(table)}{at}"):
            return DeltaTable(
                self._uri(table), version=version, storage_options=self._storage_options
            )

    def _at(self, table: str, version: int | None) -> DeltaTable:
        if version is None:
            return self._existing(table)
        # Opening reads the file of each commit since the last checkpoint, up to a hundred: once
        # for a caller that pins the newest version and then runs ten queries.
        held = self._open.get(table)
        if held is not None and held.version() == version:
            return held
        try:
            return self.open(table, version)
        except errors.LakeError as exc:
            # delta-rs reports a version before the log's start as no table at all.
            present = self.version(table)
            if version > present:
                raise errors.VersionNotFoundError(
                    f"the lake has no version {version} of {table}, whose newest is {present}: "
                    "it is another lake, or was created anew"
                ) from exc
            raise self._expired(table, version) from exc

    def _existing(self, table: str) -> DeltaTable:
        if table not in self._open:
            self._open[table] = self.open(table)
        else:
            with delta_errors(f"open {self._uri(table)}"):
                self._open[table].update_incremental()
        return self._open[table]

    def _table(self, spec: Table) -> DeltaTable:
        if spec.name in self._open:
            return self._open[spec.name]
        with delta_errors(f"create {self._uri(spec.name)}"):
            # mode="ignore": of two writers that start at once, one creates, both continue.
            DeltaTable.create(
                self._uri(spec.name),
                schema=arrow_columns.schema(spec),
                mode="ignore",
                partition_by=list(spec.partition_by),
                storage_options=self._storage_options,
                configuration=_TABLE_CONFIG,
            )
        return self._existing(spec.name)

    def _commit(
        self,
        delta: DeltaTable,
        spec: Table,
        rows: Sequence[RecordBatch],
        transactions: Mapping[str, int],
    ) -> None:
        carried = [Transaction(name, sequence) for name, sequence in transactions.items()]
        for tries_left in reversed(range(_TRIES)):
            delta.update_incremental()
            before = delta.version()
            self._refuse_stale(delta, spec.name, transactions)
            try:
                write_deltalake(
                    delta,
                    RecordBatchReader.from_batches(arrow_columns.schema(spec), rows),
                    mode="append",
                    schema_mode="merge",
                    commit_properties=CommitProperties(app_transactions=carried),
                )
            except CommitFailedError:
                if not tries_left or not self._retry_is_safe(spec.name, transactions):
                    raise
            else:
                # After a version that another writer made meanwhile they are read again.
                at = delta.version() if delta.version() == before + 1 else None
                for name, sequence in transactions.items():
                    self._seen[spec.name, name] = _Seen(sequence, at)
                return

    def _retry_is_safe(self, table: str, transactions: Mapping[str, int]) -> bool:
        """Return whether the table would show a commit of these that succeeded unnoticed."""
        return any(
            self._seen.get((table, name), _NEVER).sequence != sequence
            for name, sequence in transactions.items()
        )

    def _refuse_vacuumed(self, versions: Mapping[str, int | None], failed: Exception) -> None:
        """Raise VersionNotFoundError if a query failed for a file that only old versions have."""
        lacking = _LACKING.search(str(failed))
        for table, version in versions.items():
            if lacking and version is not None:
                was, now = self._at(table, version), self.open(table)
                if lacking[1] in _file_names(was) - _file_names(now):
                    raise self._expired(table, version) from failed

    def _expired(self, table: str, version: int) -> errors.VersionNotFoundError:
        kept = self.open(table).metadata().configuration.get(FILE_RETENTION, "interval 7 days")
        return errors.VersionNotFoundError(
            f"the lake no longer holds version {version} of {table}: deleted and replaced files "
            f"are kept for {kept.removeprefix('interval ')} ({settings.VACUUM_RETENTION_HOURS})"
        )

    def _refuse_stale(self, delta: DeltaTable, table: str, transactions: Mapping[str, int]) -> None:
        for name in transactions:
            seen = self._seen.get((table, name), _NEVER)
            # delta-rs reads every commit since the last checkpoint for it, up to a hundred files.
            if seen.version == delta.version():
                continue
            now = delta.transaction_version(name)
            if now != seen.sequence:
                raise errors.ConflictError(
                    f"append to {self._uri(table)}: {name} stands at {now}, "
                    f"this writer last saw {seen.sequence}: "
                    "another writer has taken over, this one must stop"
                )
            self._seen[table, name] = _Seen(now, delta.version())

    def _uri(self, table: str) -> str:
        return f"{self._root}/{table}"


def _storage_options(env: Mapping[str, str]) -> dict[str, str]:
    """Return delta-rs's options beyond the AWS variables that it reads itself."""
    # etag: S3's conditional put serializes commits, so no lock table is needed.
    options = {"aws_conditional_put": "etag"}
    endpoint = env.get("AWS_ENDPOINT_URL", "")
    if endpoint:
        options["aws_endpoint_url"] = endpoint
        options["aws_allow_http"] = str(endpoint.startswith("http://")).lower()
    return options


# A table that lacks columns is registered under this name, and seen through a query below.
_AS_STORED: Final = "__stored"


def _lacking(table: str, at: DeltaTable) -> str:
    if table not in TABLES:
        return ""
    return arrow_columns.lacking(TABLES[table], {field.name for field in at.schema().fields})


def _over(tables: Mapping[str, str], sql: str) -> str:
    """Return a query in which these tables are the results of other queries."""
    if not tables:
        return sql
    named = ", ".join(f"{table} as ({query})" for table, query in tables.items())
    beginning, rest = sql.split(maxsplit=1)
    return f"with {named}, {rest}" if beginning.lower() == "with" else f"with {named} {sql}"


def _file_names(delta: DeltaTable) -> set[str]:
    """Return the names of a version's files without their folders; each holds a UUID."""
    return {uri.rpartition("/")[2] for uri in delta.file_uris()}


@contextmanager
def delta_errors(what: str) -> Iterator[None]:
    """Translate Delta Lake's errors into ours; `what` names the attempt and its object."""
    try:
        yield
    except TableNotFoundError as exc:
        raise errors.TableNotFoundError(f"{what}: no such table yet") from exc
    except CommitFailedError as exc:
        raise errors.ConflictError(f"{what}: {exc}") from exc
    except Exception as exc:
        # arro3 raises every failure of a query as a bare Exception.
        if type(exc) is not Exception and not isinstance(exc, (DeltaError, OSError)):
            raise
        raise _translate(what, exc) from exc


def _translate(what: str, exc: Exception) -> errors.MovierecError:
    message = " ".join(_ANSI.sub("", str(exc)).split())
    if "NoSuchBucket" in message:
        return errors.BucketNotFoundError(
            f"{what}: no such bucket; {errors.BucketNotFoundError.next_step}"
        )
    if _BROKEN_CONNECTION.search(message):
        return errors.UnavailableError(f"{what}: no answer; {errors.UnavailableError.next_step}")
    return errors.LakeError(f"{what}: {message}")


# object_store repeats a request without an answer, but not one whose answer breaks off.
_BROKEN_CONNECTION: Final = re.compile("error sending request|request or response body error")

# object_store's message for a missing file; the group is its name without its folder.
_LACKING: Final = re.compile(r"Object at location (?:\S*/)?([^/\s]+) not found")

# delta-rs colours its chain of causes.
_ANSI: Final = re.compile(r"\x1b\[[0-9;]*m|↳")
