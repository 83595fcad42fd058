"""The newest overlay is found beside requests; what cannot be read leaves the one before."""

from collections.abc import Callable

import numpy as np
import pytest
from chalicelib.overlay_watch import CHECK_EVERY_S, NONE, OverlayWatch

from movierec.errors import ArtifactError, UnavailableError
from movierec.model import overlay, sealed_folder
from movierec.model.artifact import TOP_K
from movierec.model.overlay import Overlay
from movierec.testing.memory import MemoryStore

VERSION = "20261120T101500Z-abc-def"


def publish(store: MemoryStore, number: int, *, files: dict[str, bytes] | None = None) -> None:
    """Write overlay `number`: a list of one user, whose id is the number."""
    row = np.full((1, TOP_K), 65535, np.uint16)
    zero = np.zeros(1, np.uint8)
    packed = overlay.pack(Overlay(np.array([number]), row, zero, zero))
    for name, body in {**packed, **(files or {})}.items():
        store.put(overlay.key(VERSION, number, name), body)
    sealed = sealed_folder.seal(packed, {"number": number})
    store.put(overlay.key(VERSION, number, sealed_folder.MANIFEST_FILE), sealed)
    store.put(overlay.newest_key(VERSION), overlay.dump_newest(number))


class Bench:
    """A watch whose clock is set by hand and whose checks run when told."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.store = MemoryStore()
        self.started: list[Callable[[], None]] = []
        self.watch = OverlayWatch(
            self.store, VERSION, 10, clock_s=lambda: self.now_s, start=self.started.append
        )

    def run_checks(self) -> int:
        started, count = self.started[:], len(self.started)
        self.started.clear()
        for check in started:
            check()
        return count


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_there_is_none_before_the_first_refresh(bench: Bench) -> None:
    assert bench.watch.newest() is NONE
    assert bench.run_checks() == 1
    assert bench.watch.newest() is NONE


def test_a_newer_one_is_found_at_the_next_check_and_no_request_waits(bench: Bench) -> None:
    publish(bench.store, 1)
    assert bench.watch.newest().number == 0
    bench.run_checks()
    publish(bench.store, 2)
    assert bench.watch.newest().overlay.user_ids.tolist() == [1]
    assert bench.started == []
    bench.now_s += CHECK_EVERY_S
    assert bench.watch.newest().number == 1
    bench.run_checks()
    assert bench.watch.newest().number == 2


def test_one_check_runs_at_a_time(bench: Bench) -> None:
    for _ in range(5):
        bench.watch.newest()
        bench.now_s += CHECK_EVERY_S
    assert bench.run_checks() == 1
    bench.watch.newest()
    assert bench.run_checks() == 1


def test_after_the_first_check_the_first_request_starts_no_other(bench: Bench) -> None:
    publish(bench.store, 1)
    bench.watch.begin()
    assert bench.watch.newest().number == 1
    assert bench.started == []


def test_a_damaged_overlay_leaves_the_one_before_and_is_tried_again(bench: Bench) -> None:
    publish(bench.store, 1)
    bench.watch.check()
    publish(bench.store, 2, files={overlay.FILE: b"[]x"})
    with pytest.raises(ArtifactError):
        bench.watch.check()
    bench.watch.newest()
    bench.run_checks()
    assert bench.watch.newest().number == 1
    publish(bench.store, 2)
    bench.now_s += CHECK_EVERY_S
    bench.watch.newest()
    bench.run_checks()
    assert bench.watch.newest().number == 2


def test_an_older_number_is_no_newer_overlay(bench: Bench) -> None:
    publish(bench.store, 2)
    bench.watch.check()
    publish(bench.store, 1)
    bench.watch.check()
    assert bench.watch.newest().number == 2


def test_a_store_that_does_not_answer_costs_no_answer(bench: Bench) -> None:
    publish(bench.store, 1)
    bench.watch.check()

    class Down(MemoryStore):
        def get(self, key: str) -> bytes:
            raise UnavailableError(f"s3 {key}")

    down = OverlayWatch(Down(), VERSION, 10, clock_s=lambda: 0.0, start=lambda check: check())
    assert down.newest() is NONE


def test_an_api_that_starts_asks_for_three_objects(bench: Bench) -> None:
    publish(bench.store, 1)
    asked: list[str] = []

    class Counted(MemoryStore):
        def get(self, key: str) -> bytes:
            asked.append(key)
            return bench.store.get(key)

    watch = OverlayWatch(Counted(), VERSION, 10, clock_s=lambda: 0.0, start=lambda check: check())
    watch.begin()
    assert (watch.newest().number, len(asked)) == (1, 3)
