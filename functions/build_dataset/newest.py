"""Keep the newest interactions of a stream that is read in batches of users.

Memory is that of the cap and of two batches, however long the stream is. An interaction is a user
and a movie, with all its events: it is as new as the last of them, watched or rated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from movierec.model.encoding import Array

Columns = Mapping[str, Array]
"""`user_ids`, `movies`, `last_at` and others, each (n,), one row an interaction."""

_NEWEST = "newest"


@dataclass(slots=True)
class NewestInteractions:
    """The `most` newest interactions of all that were added; all of them if `trims` is not set.

    Of those as new as each other the lower users and movies are kept, so that the same interactions
    are, whatever the batches.
    """

    most: int
    trims: bool
    slack: int
    """Interactions over the cap that may wait for the next trim."""
    older: int = 0
    """Interactions left out so far."""
    _watched: list[Columns] = field(default_factory=list)
    _rated: list[Columns] = field(default_factory=list)

    def add(self, watched: Columns, rated: Columns) -> None:
        """Add all interactions of some users: none of theirs is in another batch."""
        if self.trims:
            watched, rated = _dated(watched, rated)
        self._watched.append(watched)
        self._rated.append(rated)
        rows = sum(len(part["user_ids"]) for part in (*self._watched, *self._rated))
        if self.trims and rows > self.most + self.slack:
            self._trim()

    def kept(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return the columns of watched and of rated interactions."""
        if self.trims:
            self._trim()
        return _joined(self._watched), _joined(self._rated)

    def _trim(self) -> None:
        watched, rated = (_joined(part, _NEWEST) for part in (self._watched, self._rated))
        self.older += max(0, _pairs(watched, rated) - self.most)
        masks = _newest(watched, rated, self.most)
        self._watched, self._rated = (
            list[Columns]([{name: values[mask] for name, values in part.items()}])
            for part, mask in zip((watched, rated), masks, strict=True)
        )


def _joined(parts: list[Columns], *more: str) -> dict[str, Array]:
    names = [name for name in parts[0] if name not in (_NEWEST, _ALONE) or more]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


_ALONE = "alone"
"""Of a rated interaction: whether it was never watched."""


def _pairs(watched: Columns, rated: Columns) -> int:
    return len(watched["user_ids"]) + int(rated[_ALONE].sum())


def _dated(watched: Columns, rated: Columns) -> tuple[Columns, Columns]:
    """Return the columns with the last event of each interaction, whichever kind it was."""
    split_at = len(watched["user_ids"])
    users = np.unique(
        np.concatenate((watched["user_ids"], rated["user_ids"])), return_inverse=True
    )[1]
    movies = np.concatenate((watched["movies"], rated["movies"])).astype(np.int64)
    keys = users * (int(movies.max(initial=0)) + 1) + movies
    order = np.argsort(keys[:split_at])
    places = np.searchsorted(keys[:split_at], keys[split_at:], sorter=order)
    partner = order[np.minimum(places, split_at - 1)] if split_at else places
    both = keys[partner] == keys[split_at:] if split_at else np.zeros(len(places), np.bool_)
    newest = [part["last_at"].astype(np.int64) for part in (watched, rated)]
    newest[1][both] = np.maximum(newest[1][both], newest[0][partner[both]])
    newest[0][partner[both]] = newest[1][both]
    return {**watched, _NEWEST: newest[0], _ALONE: np.ones(split_at, np.bool_)}, {
        **rated,
        _NEWEST: newest[1],
        _ALONE: ~both,
    }


def _newest(watched: Columns, rated: Columns, most: int) -> list[npt.NDArray[np.bool_]]:
    """Return which rows belong to the `most` newest interactions."""
    parts = (watched, rated)
    times = np.concatenate([part[_NEWEST][part[_ALONE]] for part in parts])
    if len(times) <= most:
        return [np.ones(len(part["user_ids"]), np.bool_) for part in parts]
    cut = np.partition(times, len(times) - most)[len(times) - most]
    room = most - int((times > cut).sum())
    tied = [(part[_NEWEST] == cut) & part[_ALONE] for part in parts]
    users, movies = (
        np.concatenate([part[name][mask] for part, mask in zip(parts, tied, strict=True)])
        for name in ("user_ids", "movies")
    )
    last = np.lexsort((movies, users))[room - 1]
    return [
        (part[_NEWEST] > cut)
        | (
            (part[_NEWEST] == cut)
            & (
                (part["user_ids"] < users[last])
                | ((part["user_ids"] == users[last]) & (part["movies"] <= movies[last]))
            )
        )
        for part in parts
    ]
