"""Titles that are withdrawn: no list may hold them, of any model. Each refresh reads them.

`overlays/withdrawn.json` is [movie id, ...], ascending.
"""

from collections.abc import Iterable
from typing import Final

from movierec.errors import ArtifactError, ObjectNotFoundError
from movierec.model import overlay
from movierec.model.encoding import dump_json, load_json
from movierec.ports import ObjectStore

KEY: Final = f"{overlay.PREFIX}withdrawn.json"


def load(store: ObjectStore) -> frozenset[str]:
    """Return the titles' movie ids. Raises ArtifactError for a document that is no list of ids."""
    try:
        value = load_json(KEY, store.get(KEY))
    except ObjectNotFoundError:
        return frozenset()
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ArtifactError(f"{KEY} is no list of movie ids: write it anew with `movierec catalog`")
    return frozenset(value)


def save(store: ObjectStore, movie_ids: Iterable[str]) -> None:
    """Write the titles' movie ids in place of those before."""
    store.put(KEY, dump_json(sorted(movie_ids)))
