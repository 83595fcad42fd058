"""Keeps the catalog up with the site, and admits the lines that waited for it.

Beside the worker, in a thread of its own and with a lake of its own. Each round looks at the lines
that came to wait since the last one, and at all that wait when the catalog has changed, whoever
changed it. With a site, it asks for their movies and for users who have no row, stores the answers
and admits what is known now.

When it has stored who has opened an account, lists are refreshed: `refresh` asks for it, once a
round.

All state is in the lake: a round that is cut off anywhere is done again by the next process. Of
several workers that ask at once one stores its answers; the others find them there. Without an
answer from the site nothing happens but one line in the log, and a request a minute.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Final

from ingest_worker.meter import Meter
from ingest_worker.ports import Site
from ingest_worker.quarantine_replay import Partition, QuarantineReplay, keep_newest
from movierec.errors import ConflictError, MovierecError, TableNotFoundError, UsageError
from movierec.lake.quarantined import WAITING, QuarantineLake
from movierec.lake.schema import MOVIES, USERS, Columns
from movierec.ports import Clock
from movierec.site.api_client import Fetched
from movierec.site.reply_format import Kind
from movierec.site.unknown_ids import UnknownIds

log = logging.getLogger(__name__)

EVERY_S: Final = 10.0
"""Seconds between rounds: with a flush, the site's answer and a refresh, a new account has its list
within a minute."""

STORED: Final = "catalog-growth"
"""Name of the transaction with which the site's answers are stored."""

# Of each kind a round: ten bulk requests, or what a site that takes one id at a time answers.
_ASKED_AT_ONCE: Final = 2_000
_WITHIN_S: Final = 15.0

# After a failure the site is left alone for this long.
_RETRY_S: Final = 60.0

# All events are looked through for users again after this time: for those whose worker died before
# it asked, and those whom the site did not know yet.
_ALL_USERS_EVERY_S: Final = 3600.0


class CatalogGrowth:
    """One worker's rounds; `unknown_ids` loads what the site did not know, at a first question."""

    def __init__(
        self,
        lake: QuarantineLake,
        replay: QuarantineReplay,
        clock: Clock,
        meter: Meter,
        *,
        topics: Iterable[str],
        site: Site | None,
        unknown_ids: Callable[[], UnknownIds],
        refresh: Callable[[], None] = lambda: None,
        stopping: Callable[[], bool] = bool,
    ) -> None:
        self._lake = lake
        self._replay = replay
        self._clock = clock
        self._meter = meter
        self._topics = tuple(topics)
        self._site = site
        self._load_unknown = unknown_ids
        self._refresh = refresh
        self._accounts_stored = False
        self._stopping = stopping
        self._unknown: UnknownIds | None = None
        self._movies_version: int | None = None
        self._reached: dict[Partition, int] = {}
        self._movies: dict[str, None] = {}
        self._users = _Users(lake, replay.topic_names)
        self._ask_from_s = 0.0
        self._silent = False

    def run(self, wait: Callable[[float], bool], every_s: float = EVERY_S) -> None:
        """Make rounds until `wait` returns True; after a failure the next one tries again."""
        while not wait(every_s):
            try:
                self.round()
            except MovierecError as exc:
                log.warning("catalog_growth_failed", extra={"error": str(exc)})
            except Exception:
                log.exception("catalog_growth_crashed")

    def round(self) -> None:
        """Admit what is known, ask the site for the rest, and admit that."""
        self._admit()
        if self._site is not None and not self._stopping() and self._ask(self._site):
            self._admit()
        if self._accounts_stored:
            self._refresh()
            self._accounts_stored = False

    def _admit(self) -> None:
        version = self._version()
        if version != self._movies_version:
            self._reached, self._movies = {}, {}
        found = self._replay.run(WAITING, after=self._reached)
        self._reached |= found.reached
        keep_newest(self._movies, found.unknown_movies)
        for (topic, partition), offset in found.first.items():
            self._users.look_again(topic, partition, offset)
        if not found.stopped:
            self._movies_version = version
        if found.admitted:
            log.info("waiting_lines_admitted", extra={"lines": found.admitted})
        waiting = sum(span.lines for span in self._lake.quarantine_spans(WAITING))
        self._meter.waiting(waiting, admitted=found.admitted)

    def _version(self) -> int | None:
        try:
            return self._lake.version(MOVIES.name)
        except TableNotFoundError:
            return None

    def _ask(self, site: Site) -> bool:
        """Ask for what is due, and return whether any movie was found."""
        now = self._clock.now()
        if now.timestamp() < self._ask_from_s:
            return False
        self._users.look(self._topics, now.timestamp())
        if not self._movies and not self._users:
            return False
        if self._unknown is None:
            self._unknown = self._load_unknown()
        # The newest first: what has waited long was asked for already, or is no movie.
        movies = self._unknown.due("movie", reversed(self._movies), now)[:_ASKED_AT_ONCE]
        found = self._fetch(site, self._unknown, "movie", movies) if movies else False
        due = self._unknown.due("user", map(str, self._users.first(_ASKED_AT_ONCE)), now)
        self._users.drop(set(self._users.first(_ASKED_AT_ONCE)) - set(map(int, due)))
        if due and now.timestamp() >= self._ask_from_s and not self._stopping():
            self._fetch(site, self._unknown, "user", due)
        return found

    def _fetch(self, site: Site, unknown: UnknownIds, kind: Kind, ids: list[str]) -> bool:
        """Ask for ids, store the rows, note what is unknown; return whether there are rows."""
        table = {"movie": MOVIES.name, "user": USERS.name}[kind]
        # Before the question: of two who ask, the second to store is refused.
        sequence = self._lake.transaction(table, STORED) or 0
        movies, users = (ids, []) if kind == "movie" else ([], list(map(int, ids)))
        try:
            fetched = site.fetch(movies=movies, users=users, within_s=_WITHIN_S)
        except UsageError as exc:
            self._note_outage(str(exc))
            return False
        self._note_outage(fetched.failure)
        rows = fetched.movies if kind == "movie" else fetched.users
        known = _known(rows, "movie_id" if kind == "movie" else "user_id")
        if rows:
            try:
                self._lake.append(table, rows, transactions={STORED: sequence + 1})
            except ConflictError:
                log.info("catalog_stored_by_another", extra={"table": table})
                self._users.forget()
                return True
        self._settle(fetched, unknown, kind, known)
        return bool(rows)

    def _settle(self, fetched: Fetched, unknown: UnknownIds, kind: Kind, known: set[str]) -> None:
        if kind == "movie":
            denied: set[str] = set(fetched.unknown_movies)
        else:
            denied = set(map(str, fetched.unknown_users))
            self._accounts_stored |= self._users.any_created(map(int, known))
            self._users.drop(map(int, known | denied))
        unknown.note(kind, asked=known | denied, unknown=denied, now=self._clock.now())
        self._meter.asked(kind, known=len(known), unknown=len(denied))
        if denied:
            unknown.save()
        if known:
            log.info("catalog_grew", extra={"kind": kind, "rows": len(known)})

    def _note_outage(self, failure: str) -> None:
        self._meter.site_answers(failure)
        if failure:
            self._ask_from_s = self._clock.now().timestamp() + _RETRY_S
            if not self._silent:
                log.warning("site_does_not_answer", extra={"error": failure})
        elif self._silent:
            log.info("site_answers_again")
        self._silent = bool(failure)


def _known(rows: Iterable[Columns], column: str) -> set[str]:
    return {str(one) for batch in rows for one in batch[column]}


class _Users:
    """Users whom the site is to be asked about: new accounts first."""

    def __init__(
        self, lake: QuarantineLake, names: Callable[[str], tuple[str | None, ...]]
    ) -> None:
        self._lake = lake
        self._names = names
        self._created: dict[int, None] = {}
        self._others: dict[int, None] = {}
        self._after: dict[str, dict[int, int]] = {}
        self._forget_at_s = 0.0

    def __bool__(self) -> bool:
        return bool(self._created or self._others)

    def look(self, topics: Iterable[str], now_s: float) -> None:
        """Find the users of the events since the last look, and of all events once an hour."""
        if now_s >= self._forget_at_s:
            self.forget()
            self._forget_at_s = now_s + _ALL_USERS_EVERY_S
        for topic in topics:
            after = self._after.setdefault(topic, {})
            found = self._lake.new_users(self._names(topic), after)
            after |= found.reached
            keep_newest(self._created, found.created.tolist())
            keep_newest(self._others, found.others.tolist())

    def look_again(self, topic: str, partition: int, first: int) -> None:
        """Have the next look begin with an offset, if it would begin later."""
        after = self._after.setdefault(topic, {})
        after[partition] = min(after.get(partition, -1), first - 1)

    def first(self, most: int) -> list[int]:
        """Return those to ask for next."""
        return [*self._created, *self._others][:most]

    def any_created(self, users: Iterable[int]) -> bool:
        """Return whether some of these are new accounts that were to be asked for."""
        return any(user in self._created for user in users)

    def drop(self, users: Iterable[int]) -> None:
        """Take users out who were answered for, or need not be asked for."""
        for user in users:
            self._created.pop(user, None)
            self._others.pop(user, None)

    def forget(self) -> None:
        """Begin anew with all events."""
        self._created, self._others, self._after = {}, {}, {}
