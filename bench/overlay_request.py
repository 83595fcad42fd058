"""What an overlay adds to the time of a request: the API's own code with and without, in pairs.

A model of a million users; an overlay of 100,000 of them, with movies that came since and titles
withdrawn. The network, the proxy and the emulator are the same for both, and are left out.

    PYTHONPATH=.:chalice_app python -m bench.overlay_request
"""

import json
import time
from typing import Any, Final

import numpy as np
from chalicelib.overlay_watch import NONE, Numbered, OverlayWatch
from chalicelib.service import OpenModel, Service

from movierec.model import overlay, sealed_folder
from movierec.model.artifact import TOP_K
from movierec.model.overlay import REASONS, Overlay
from movierec.model.ranking import Recommender
from movierec.model.segments import GROUPS
from movierec.testing.memory import MemoryStore

_USERS: Final = 1_000_000
_MOVIES: Final = 27_000
_CHANGED: Final = 100_000
_NEWER: Final = 100
_WITHDRAWN: Final = 50
_PAIRS: Final = 20_000
_VERSION: Final = "20261120T101500Z-bench-bench"


def _recommender(rng: np.random.Generator) -> Recommender:
    movie_ids = [f"movie+{i:05}+{1930 + i % 90}" for i in range(_MOVIES)]
    popular = tuple(movie_ids[:TOP_K])
    return Recommender(
        manifest={},
        movie_ids=movie_ids,
        groups=GROUPS,
        popular_by_group=[popular for _ in GROUPS],
        kids=popular,
        user_ids=np.arange(1, _USERS + 1),
        user_groups=np.zeros(_USERS + 1, np.uint8),
        topk=rng.integers(0, _MOVIES, (_USERS, TOP_K)).astype(np.uint16),
    )


def _watch(rng: np.random.Generator, movie_ids: list[str]) -> OverlayWatch:
    """Return the API's watch of an overlay in a store."""
    changed = Overlay(
        user_ids=np.sort(rng.choice(_USERS, _CHANGED, replace=False)) + 1,
        topk=rng.integers(0, _MOVIES + _NEWER, (_CHANGED, TOP_K)).astype(np.uint16),
        groups=np.ones(_CHANGED, np.uint8),
        reasons=np.full(_CHANGED, REASONS.index("fold_in"), np.uint8),
        movie_ids=tuple(f"new+movie+{i}" for i in range(_NEWER)),
        withdrawn=frozenset(movie_ids[i] for i in rng.choice(_MOVIES, _WITHDRAWN, replace=False)),
    )
    store = MemoryStore()

    def key(name: str) -> str:
        return overlay.key(_VERSION, 1, name)

    sealed_folder.publish(store, key, overlay.pack(changed), {"number": 1})
    store.put(overlay.newest_key(_VERSION), overlay.dump_newest(1))
    watch = OverlayWatch(
        store, _VERSION, _MOVIES, clock_s=time.monotonic, start=lambda check: check()
    )
    watch.begin()
    return watch


def _service(recommender: Recommender, newest: Any) -> Service:  # noqa: ANN401  a function
    model = OpenModel(_VERSION, recommender, newest)
    return Service(lambda: model, "1", "bench")


def _timed_ms(service: Service, user: str) -> float:
    begin = time.perf_counter_ns()
    service.recommend(user)
    return (time.perf_counter_ns() - begin) / 1e6


def measured() -> dict[str, float]:
    """Return medians in milliseconds: without, and what users with and without a row have added."""
    rng = np.random.default_rng(1)
    recommender = _recommender(rng)
    watch = _watch(rng, list(recommender.movie_ids))
    found: Numbered = watch.newest()
    without = _service(recommender, lambda: NONE)
    with_one = _service(recommender, watch.newest)
    changed = rng.choice(found.overlay.user_ids, _PAIRS)
    others = rng.choice(np.setdiff1d(np.arange(1, _USERS), found.overlay.user_ids), _PAIRS)
    figures = {}
    for name, users in (("changed", changed), ("unchanged", others)):
        pairs = [_pair_ms(with_one, without, str(user), at) for at, user in enumerate(users)]
        both = np.array(pairs)
        figures[f"{name}, added"] = float(np.median(both[:, 0] - both[:, 1]))
        figures[f"{name}, without"] = float(np.median(both[:, 1]))
    return figures


def _pair_ms(with_one: Service, without: Service, user: str, at: int) -> tuple[float, float]:
    """Return the times with and without, whichever comes first."""
    if at % 2:
        first = _timed_ms(with_one, user)
        return first, _timed_ms(without, user)
    second = _timed_ms(without, user)
    return _timed_ms(with_one, user), second


def main() -> int:
    """Print the figures as JSON."""
    print(json.dumps(measured()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
