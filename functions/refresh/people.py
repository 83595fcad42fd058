"""Read from the lake what the site has said of users: age and gender, and what they wrote."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from functions.refresh.newer_events import Versions
from movierec.lake import text_queries
from movierec.lake.ports import LakeReader
from movierec.lake.queries import columns, of_ids
from movierec.lake.schema import USERS
from movierec.model import segments
from movierec.model.encoding import Array
from movierec.model.texts import Description, fingerprint
from movierec.model.user_id import rows_of


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """What is known of n users."""

    groups: npt.NDArray[np.uint8]
    """(n,), 0 where age and gender are not known."""
    descriptions: Sequence[Description]

    def hashes(self) -> npt.NDArray[np.uint64]:
        """Return a hash of each description, 0 for none, (n,)."""
        return np.array([fingerprint(one) for one in self.descriptions], np.uint64)


def read(lake: LakeReader, versions: Versions, users: Array) -> People:
    """Return what is known of users (n,), ascending ids."""
    groups = np.zeros(len(users), np.uint8)
    for condition in of_ids("user_id", list(map(str, users.tolist()))):
        if USERS.name not in versions:
            break
        found = _columns(lake, versions, _GROUPS, condition)
        known = segments.group_of(found["age"], found["gender"].tolist())
        order = np.argsort(found["user_ids"], kind="stable")
        rows, present = rows_of(found["user_ids"][order], users)
        groups[present] = known[order][rows[present]]
    wrote, said = text_queries.read_descriptions(lake, versions, users)
    by_user = dict(zip(wrote.tolist(), said, strict=True))
    return People(groups, [by_user.get(one, Description()) for one in users.tolist()])


def told_since(lake: LakeReader, versions: Versions, since: datetime) -> Array:
    """Return the ids of users of whom the site has said something since a time, ascending."""
    if USERS.name not in versions:
        return np.zeros(0, np.int64)
    text = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    found = _columns(lake, versions, _TOLD, f"loaded_at >= timestamp '{text}'")
    return np.sort(found["user_ids"])


def _columns(lake: LakeReader, versions: Versions, sql: str, condition: str) -> dict[str, Any]:
    version = {USERS.name: versions[USERS.name]}
    return columns(lake, sql.format(condition=condition), version)


_TOLD: Final = """
select distinct user_id user_ids from users where user_id is not null and {condition}
"""

_GROUPS: Final = """
select user_id user_ids, last_value(coalesce(age, -1) order by loaded_at) age,
       last_value(coalesce(gender, '') order by loaded_at) gender
from users where {condition} group by user_id
"""
