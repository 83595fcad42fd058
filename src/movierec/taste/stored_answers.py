"""A language model's answers in an object store, each under the digest of what was asked.

    tastes/<digest>.json    {"tastes": {...}} or {"refused": reason}

No text and no user is in it, so that one object serves whoever writes the same. A refused answer is
kept as well: the same text would be paid for again to get it again.
"""

from typing import Final, get_args

from movierec.errors import ArtifactError, ObjectNotFoundError
from movierec.model import encoding
from movierec.ports import ObjectStore
from movierec.taste.tastes import Reason, Refused, Tastes

PREFIX: Final = "tastes/"

Outcome = Tastes | Refused


def load(store: ObjectStore, digest: str) -> Outcome | None:
    """Return a stored answer, None if there is none that can be read."""
    key = _key(digest)
    try:
        found = encoding.load_json(key, store.get(key))
    except (ObjectNotFoundError, ArtifactError):
        return None
    if not isinstance(found, dict):
        return None
    for reason in get_args(Reason):
        if found.get("refused") == reason:
            return Refused(reason)
    tastes = Tastes.read(found.get("tastes"))
    return tastes if isinstance(tastes, Tastes) else None


def save(store: ObjectStore, digest: str, outcome: Outcome) -> None:
    """Store an answer."""
    value = (
        {"tastes": outcome.dump()} if isinstance(outcome, Tastes) else {"refused": outcome.reason}
    )
    store.put(_key(digest), encoding.dump_json(value))


def _key(digest: str) -> str:
    return f"{PREFIX}{digest}.json"
