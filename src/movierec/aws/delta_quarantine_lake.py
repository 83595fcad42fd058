"""The lake on Delta tables, with its lines in quarantine: which wait, and which are to go."""

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np
from arro3.core import RecordBatch
from deltalake.exceptions import CommitFailedError

from movierec.aws import arrow_columns, quarantine_sql
from movierec.aws.delta_lake import DeltaLake, delta_errors
from movierec.errors import TableNotFoundError
from movierec.lake.quarantined import NewUsers, Offsets, QuarantinedLines, Selection, Span
from movierec.lake.schema import EVENTS, QUARANTINE, USERS

# A deletion conflicts with maintenance and with another deletion.
_TRIES: Final = 4


class DeltaQuarantineLake(DeltaLake):
    """`movierec.lake.quarantined.QuarantineLake` on Delta tables."""

    def quarantine_spans(self, chosen: Selection) -> list[Span]:
        """Return what is chosen of each partition that has any of it."""
        rows = self.query_if_any(quarantine_sql.spans(chosen), QUARANTINE.name)
        if rows is None:
            return []
        names = ("topic", "kafka_partition", "first", "last", "lines")
        columns = [rows.column(name).to_pylist() for name in names]
        return [Span(*one) for one in zip(*columns, strict=True)]

    def quarantined_lines(
        self,
        chosen: Selection,
        topics: Collection[str | None],
        partition: int,
        *,
        after: int,
        until: int,
        most: int,
    ) -> QuarantinedLines:
        """Return the first `most` chosen lines past an offset, up to and including another."""
        sql = quarantine_sql.lines(chosen, topics, partition, (after, until), most)
        rows = self.query(sql, {QUARANTINE.name: None})
        return QuarantinedLines(
            rows.column("kafka_offset").to_numpy(),
            list(rows.column("raw").to_pylist()),
            rows.column("recorded_us").to_numpy(),
            rows.column("ingested_us").to_numpy(),
        )

    def offsets_in_both(
        self, chosen: Selection, topics: Collection[str | None], partition: int
    ) -> frozenset[int]:
        """Return the offsets of the chosen lines that are events as well."""
        sql = quarantine_sql.in_both(chosen, topics, partition)
        rows = self.query_if_any(sql, QUARANTINE.name, EVENTS.name)
        return frozenset(rows.column("kafka_offset").to_pylist() if rows else ())

    def remove_quarantined(
        self, topics: Collection[str | None], offsets: Mapping[int, Offsets]
    ) -> None:
        """Delete lines of a topic; see `movierec.lake.quarantined.QuarantineLake`."""
        wanted = {p: one for p, one in offsets.items() if len(one)}
        if not wanted:
            return
        keys = arrow_columns.record_batch(
            QUARANTINE,
            {
                "kafka_partition": np.repeat(list(wanted), list(map(len, wanted.values()))),
                "kafka_offset": np.concatenate(list(wanted.values())),
            },
        ).select(["kafka_partition", "kafka_offset"])
        predicate = quarantine_sql.merge_predicate(topics, wanted)
        with delta_errors(f"remove lines of {QUARANTINE.name}"):
            self._merge_delete(keys, predicate)

    def _merge_delete(self, keys: RecordBatch, predicate: str) -> None:
        for tries_left in reversed(range(_TRIES)):
            delta = self.open(QUARANTINE.name)
            merger = delta.merge(keys, predicate, source_alias="s", target_alias="t")
            try:
                merger.when_matched_delete().execute()
            except CommitFailedError:
                if not tries_left:
                    raise
            else:
                return

    def new_users(self, topics: Collection[str | None], after: Mapping[int, int]) -> NewUsers:
        """Return users of a topic's events whom table users lacks."""
        last = self.query_if_any(quarantine_sql.reached(topics), EVENTS.name)
        if last is None:
            return NewUsers(np.empty(0, np.int64), np.empty(0, np.int64), {})
        try:
            known = {USERS.name: self.version(USERS.name)}
        except TableNotFoundError:
            known = {}
        sql = quarantine_sql.users(topics, after, with_users=bool(known))
        found = self.query(sql, {EVENTS.name: None, **known})
        users = found.column("user_id").to_numpy()
        created = found.column("created").to_numpy() == 1
        partitions = last.column("kafka_partition").to_pylist()
        reached = zip(partitions, last.column("last").to_pylist(), strict=True)
        return NewUsers(users[created], users[~created], dict(reached))
