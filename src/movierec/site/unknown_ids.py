"""Ids that the site did not know, and when each may be asked for again.

After as long as it has been unknown so far: an hour at first, then 2, 4, 8, at most 30 days. A
corrupt line names an id that no site will ever know, and there are more of them every day; a film
that the site adds late is found on the same day.

One JSON object in the lake's bucket. Of two writers at once the last one wins; what the other
noted is asked for once more.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from movierec.errors import ObjectNotFoundError
from movierec.ports import ObjectStore
from movierec.site.reply_format import Kind

KEY: Final = "catalog/unknown_ids.json"

_FIRST_S: Final = 3600
_LONGEST_S: Final = 30 * 86_400

# Some 5 MB; the ones that were asked for longest ago are forgotten, that is, asked for again.
_MOST: Final = 100_000

_Times = tuple[int, int]


class UnknownIds:
    """The memory of one site, by kind and id: when it was first and last asked for."""

    def __init__(self, store: ObjectStore, site_url: str) -> None:
        self._store = store
        self._site_url = site_url
        self._times: dict[Kind, dict[str, _Times]] = {"movie": {}, "user": {}}
        self._load()

    def due(self, kind: Kind, ids: Iterable[str], now: datetime) -> list[str]:
        """Return the ids that may be asked for now. `now` is aware."""
        at_s, times = int(now.timestamp()), self._times[kind]
        return [one for one in ids if one not in times or _next_s(times[one]) <= at_s]

    def note(
        self, kind: Kind, *, asked: Iterable[str], unknown: Iterable[str], now: datetime
    ) -> None:
        """Note what the site answered; `unknown` is a part of `asked`."""
        at_s, times = int(now.timestamp()), self._times[kind]
        before = {one: times.pop(one) for one in asked if one in times}
        for one in unknown:
            times[one] = (before.get(one, (at_s, at_s))[0], at_s)
        while len(times) > _MOST:
            del times[next(iter(times))]

    def save(self) -> None:
        """Write the memory. Raises StoreError and UnavailableError."""
        document = {"site": self._site_url, "unknown": self._times}
        self._store.put(KEY, json.dumps(document, separators=(",", ":")).encode())

    def _load(self) -> None:
        """Read the memory; of another site, or not as written here, it is none."""
        try:
            document: Any = json.loads(self._store.get(KEY))
            if document["site"] == self._site_url:
                self._times = {
                    kind: {
                        str(one): (int(first_s), int(last_s))
                        for one, (first_s, last_s) in document["unknown"][kind].items()
                    }
                    for kind in self._times
                }
        except (ObjectNotFoundError, ValueError, TypeError, LookupError, AttributeError):
            return


def _next_s(times: _Times) -> int:
    first_s, last_s = times
    return last_s + min(max(last_s - first_s, _FIRST_S), _LONGEST_S)
