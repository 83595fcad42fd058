"""Which ids go into the next request to the site, and when: no I/O, the clock is an argument.

A bulk request that is refused is halved until the ids that the site does not know are alone, so
that they cost the others nothing. The next requests are as small as that needed, and grow again
while nothing is unknown. When two ids that are known one by one are refused together, the site
takes one at a time.

A site that asks to wait is not asked anything until then, and afterwards by fewer requests at
once (additive increase, multiplicative decrease, as TCP).
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import quote

from movierec.errors import UnavailableError
from movierec.site import reply_format
from movierec.site.reply_format import (
    Answer,
    Busy,
    Fault,
    Forbidden,
    Kind,
    Objects,
    Refused,
    Reply,
)

LARGEST_BULK: Final = 200
"""Ids per bulk request, as the site allows."""

# Servers take 8 KB for a request's first line.
_LONGEST_PATH: Final = 6000

# A site that takes many ids at once is given fewer requests at once.
_WIDEST_BULK: Final = 4
_WIDEST_SINGLE: Final = 16

# A wrong address that answers 404 to everything is noticed within seconds.
_STRANGERS: Final = 1000


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a site is waited for."""

    tries: int = 4
    """Requests for the same ids that may fail, before they are halved or given up."""

    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    """Between them: doubled each time, with jitter."""

    failed_ids: int = 20
    """In a row, for each of which the site cannot answer."""

    silent_s: float = 180.0
    """Without any answer, while requests fail."""

    busy_s: float = 900.0
    """Without any answer, while the site asks to wait; it may ask for no longer than this."""


@dataclass(frozen=True, slots=True)
class Group:
    """Ids of one request."""

    ids: tuple[str, ...]
    faults: int = 0
    not_before_s: float = 0.0


@dataclass(slots=True)
class SiteState:
    """What is known of a site between requests."""

    url: str
    jitter: Callable[[], float]
    patience: Patience
    takes_bulk: dict[Kind, bool] = field(default_factory=dict)
    width: float = 1.0
    """Requests at once."""

    resume_s: float = 0.0
    """No request is sent before."""

    busy_streak: int = 0
    answered: bool = False

    def backoff_s(self, streak: int) -> float:
        """Return a wait that doubles with each failure in a row, half of it at random."""
        wait_s = self.patience.first_wait_s * 2.0 ** min(streak, 30)
        return min(wait_s, self.patience.longest_wait_s) * (0.5 + self.jitter() / 2)


class RequestPlan:
    """The requests for ids of one kind; raises UnavailableError when the site is given up."""

    def __init__(self, kind: Kind, ids: Iterable[str], site: SiteState, start_s: float) -> None:
        self._kind: Kind = kind
        self._fresh = deque(dict.fromkeys(ids))
        self._again: deque[Group] = deque()
        self._site = site
        self._size = LARGEST_BULK
        self._pairs: set[frozenset[str]] = set()
        self._known: set[str] = set()
        self._unknown = 0
        self._anyone_known = False
        self._answered_s = start_s
        self._failed_in_a_row = 0

    @property
    def finished(self) -> bool:
        """Whether nothing is left to send."""
        return not self._fresh and not self._again

    @property
    def width(self) -> int:
        """How many requests may be out at once; one until it is known what the site takes."""
        takes_bulk = self._site.takes_bulk.get(self._kind)
        if takes_bulk is None:
            return 1
        return int(min(self._site.width, _WIDEST_BULK if takes_bulk else _WIDEST_SINGLE))

    def next(self, now_s: float) -> Group | None:
        """Return the ids of a request to send now, None if there is none yet."""
        if now_s < self._site.resume_s:
            return None
        for place in range(self._choices):
            if self._again[place].not_before_s <= now_s:
                group = self._again[place]
                del self._again[place]
                return group
        return self._take() if self._fresh and not self._is_probing else None

    def wait_s(self, now_s: float) -> float:
        """Return the seconds until `next` has a request."""
        starts = [self._again[place].not_before_s for place in range(self._choices)]
        if self._fresh and not self._is_probing:
            starts.append(0.0)
        return max(0.0, max(min(starts, default=0.0), self._site.resume_s) - now_s)

    @property
    def _is_probing(self) -> bool:
        """Whether a bulk was refused, and it is not known yet if the site takes any."""
        return bool(self._again) and self._kind not in self._site.takes_bulk

    @property
    def _choices(self) -> int:
        """How many of the groups in `_again` may be next; to probe, one after another."""
        return 1 if self._is_probing else len(self._again)

    def settle(self, group: Group, reply: Reply, now_s: float, now: datetime) -> Answer | None:
        """Take a reply in and return what it says of its ids. Raises UnavailableError."""
        meaning = reply_format.read(reply, asked=len(group.ids), now=now)
        match meaning:
            case Busy():
                self._pause(group, meaning, now_s)
            case Fault():
                return self._retry(group, meaning, now_s, now)
            case Forbidden():
                raise UnavailableError(f"{self._site.url}: the site {meaning.reason}; is it open?")
            case Refused():
                self._note_answer(now_s)
                self._halve(group, faults=0)
            case Objects():
                self._note_answer(now_s)
                return self._accept(reply_format.answer(self._kind, group.ids, meaning.found, now))
        return None

    def _take(self) -> Group:
        size = 1 if self._site.takes_bulk.get(self._kind) is False else self._size
        ids: list[str] = []
        length = 0
        while self._fresh and len(ids) < size:
            length += len(path_segment(self._fresh[0])) + 1
            if ids and length > _LONGEST_PATH:
                break
            ids.append(self._fresh.popleft())
        return Group(tuple(ids))

    def _note_answer(self, now_s: float) -> None:
        self._answered_s = now_s
        self._failed_in_a_row = 0
        self._site.answered = True
        self._site.busy_streak = 0
        self._site.width = min(_WIDEST_SINGLE, self._site.width + 1 / self._site.width)

    def _accept(self, answer: Answer) -> Answer:
        known = len(answer.asked) - len(answer.unknown)
        if len(answer.asked) > 1:
            self._site.takes_bulk[self._kind] = True
        elif known and self._kind not in self._site.takes_bulk:
            self._know_alone(answer.asked[0])
        if not answer.unknown:
            self._size = min(LARGEST_BULK, self._size * 2)
        self._anyone_known |= known > 0
        self._unknown += len(answer.unknown)
        if self._unknown > _STRANGERS and not self._anyone_known:
            raise UnavailableError(
                f"{self._site.url}: the site knows none of {self._unknown} {self._kind}s; "
                "is it the address of its API?"
            )
        return answer

    def _know_alone(self, one: str) -> None:
        """Note that a site takes one id at a time if it refused two that it knows."""
        self._known.add(one)
        if any(pair <= self._known for pair in self._pairs):
            self._site.takes_bulk[self._kind] = False
            while self._again:
                self._fresh.extendleft(reversed(self._again.pop().ids))

    def _halve(self, group: Group, faults: int) -> None:
        self._size = max(1, min(self._size, len(group.ids)) // 2)
        if len(group.ids) == 2:  # noqa: PLR2004  a pair
            self._pairs.add(frozenset(group.ids))
        middle = len(group.ids) // 2
        for part in (group.ids[middle:], group.ids[:middle]):
            self._again.appendleft(Group(part, faults))

    def _retry(self, group: Group, fault: Fault, now_s: float, now: datetime) -> Answer | None:
        site, patience = self._site, self._site.patience
        refused_at_once = fault.cause == "refused" and not site.answered
        if refused_at_once or now_s - self._answered_s > patience.silent_s:
            raise UnavailableError(f"{site.url}: {fault.reason}; is the site up?")
        too_much = fault.cause == "timeout" and len(group.ids) > 1
        if fault.cause == "refused" or (group.faults + 1 < patience.tries and not too_much):
            not_before_s = now_s + site.backoff_s(group.faults)
            self._again.appendleft(Group(group.ids, group.faults + 1, not_before_s))
            return None
        if len(group.ids) > 1:
            # Of a half one more request may fail, so that one id's fault is found soon.
            self._halve(group, faults=max(0, patience.tries - 2))
            return None
        self._failed_in_a_row += 1
        if self._failed_in_a_row > patience.failed_ids:
            raise UnavailableError(f"{site.url}: {fault.reason}, id after id; is the site up?")
        return reply_format.failed(self._kind, group.ids, now)

    def _pause(self, group: Group, busy: Busy, now_s: float) -> None:
        site, longest_s = self._site, self._site.patience.busy_s
        wait_s = busy.wait_s or site.backoff_s(site.busy_streak)
        # Of those who were told the same, not all come back at once.
        site.resume_s = max(site.resume_s, now_s + wait_s * (1 + site.jitter() / 10))
        site.busy_streak += 1
        site.width = max(1.0, site.width / 2)
        self._again.appendleft(group)
        if wait_s > longest_s or now_s - self._answered_s > longest_s:
            raise UnavailableError(
                f"{site.url}: the site asks to wait {wait_s:.0f} s (429); try again then"
            )


def path_segment(one: str) -> str:
    """Return an id as it stands in an address."""
    return quote(one, safe="+")
