"""Users' occupations, for metrics by subpopulation: an optional part of a data set.

    user_occupations.npy   (largest known user id + 1,) uint8, index into the names by user id
    occupations.json       [name, ...]; the first is "unknown"

A data set has them if its users table names any. They are no part of its id, so data sets that
were built before keep theirs; the sealed manifest has their checksums.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from movierec.errors import ArtifactError
from movierec.model import encoding, segments
from movierec.model.encoding import Array

UNKNOWN: Final = "unknown"
OTHER: Final = "other"

# MovieLens has 21. More than these are free text, of which the frequent ones are worth a line.
MOST: Final = 40

BY_USER_FILE: Final = "user_occupations.npy"
NAMES_FILE: Final = "occupations.json"
FILES: Final = (BY_USER_FILE, NAMES_FILE)


@dataclass(frozen=True, slots=True, eq=False)
class Occupations:
    """The occupations' names, and each user's by id."""

    names: tuple[str, ...]
    by_id: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, user_ids: Array, names: Iterable[str]) -> Self | None:
        """Return users' occupations, None if there are none; those past the MOST are OTHER."""
        given = np.array([name.strip() for name in names], dtype=object).astype(str)
        found, codes, counts = np.unique(given, return_inverse=True, return_counts=True)
        named = np.flatnonzero((found != "") & (found != UNKNOWN))
        if not len(named):
            return None
        frequent = np.sort(named[np.argsort(-counts[named], kind="stable")[:MOST]])
        kept = (UNKNOWN, *found[frequent].tolist())
        numbers = np.zeros(len(found), np.uint8)
        if len(named) > MOST:
            numbers[named] = len(kept)
            kept = (*kept, OTHER)
        numbers[frequent] = np.arange(1, len(frequent) + 1)
        return cls(kept, segments.groups_by_id(user_ids, numbers[codes]))

    def of_users(self, user_ids: Array) -> npt.NDArray[np.str_]:
        """Return the names of users' occupations."""
        return np.array(self.names)[segments.groups_of(user_ids, self.by_id)]

    def pack(self) -> dict[str, bytes]:
        """Return the files."""
        return {
            BY_USER_FILE: encoding.dump_npy(self.by_id),
            NAMES_FILE: encoding.dump_json(list(self.names)),
        }


def unpack(files: Mapping[str, bytes]) -> Occupations | None:
    """Return what `pack` wrote, None where the files are not there. Raises ArtifactError."""
    if not set(FILES) <= set(files):
        return None
    by_id = encoding.load_npy(BY_USER_FILE, files[BY_USER_FILE])
    names = tuple(encoding.load_json(NAMES_FILE, files[NAMES_FILE]))
    if int(by_id.max(initial=0)) >= len(names):
        raise ArtifactError(f"{BY_USER_FILE} names occupations that {NAMES_FILE} has not")
    return Occupations(names, by_id)
