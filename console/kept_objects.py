"""A bucket whose sealed objects are read once: they never change."""

import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from movierec.ports import ObjectStore

# Steps of releases, and what is published with a manifest: all of them conditional puts.
_SEALED: Final = re.compile(
    r"releases/[^/]+/\d+-[a-z]+\.json|(models|datasets)/[^/]+/(manifest|report)\.json"
)

# A page of releases reads hundreds of steps, of some KB each.
_MOST: Final = 5_000
_LARGEST_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class KeptObjects:
    """`movierec.ports.ObjectStore` over another, which keeps the newest sealed objects it read."""

    store: ObjectStore
    _kept: OrderedDict[str, bytes] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: str) -> bytes:
        """Return an object's bytes. Raises ObjectNotFoundError."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        body = self.store.get(key)
        if _SEALED.fullmatch(key) and len(body) <= _LARGEST_BYTES:
            with self._lock:
                self._kept[key] = body
                while len(self._kept) > _MOST:
                    self._kept.popitem(last=False)
        return body

    def put(self, key: str, body: bytes) -> None:
        """Write an object, replacing any with that key."""
        self.store.put(key, body)

    def put_if_absent(self, key: str, body: bytes) -> None:
        """Write an object that must not exist. Raises ObjectExistsError."""
        self.store.put_if_absent(key, body)

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that start with `prefix`, in byte order."""
        return self.store.keys(prefix)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; one that does not exist is no error."""
        self.store.delete(keys)

    def download(self, key: str, path: Path) -> None:
        """Write an object's bytes to a local file. Raises ObjectNotFoundError."""
        self.store.download(key, path)
