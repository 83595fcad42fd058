"""Saving services, and giving them back: whatever one of them does, the others are kept."""

import errno
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from localstack.services.stores import AccountRegionBundle, BaseStore, LocalAttribute
from localstack.state import AssetDirectory, StateLifecycleHook
from tests.small_disk import SmallDisk

from localstack_keeper.disk import Disk
from localstack_keeper.generations import Generations
from localstack_keeper.snapshots import FULL_S, Snapshots
from localstack_keeper.state_folder import StateFolder, Writer

WRITER = Writer("4.14.0", "0.1.0")
ACCOUNT, REGION = "000000000000", "us-east-1"


class Store(BaseStore):
    """A store as services have it."""

    things: dict[str, Any] = LocalAttribute(default=dict)


class Service:
    """As much of a service as is saved."""

    def __init__(self, name: str) -> None:
        self.stores = AccountRegionBundle(name, Store)
        self.also: list[object] = []
        self.lifecycle_hook = StateLifecycleHook()

    @property
    def things(self) -> dict[str, Any]:
        """What is in the one store."""
        things: dict[str, Any] = self.stores[ACCOUNT][REGION].things
        return things

    def accept_state_visitor(self, visitor: Any) -> None:  # noqa: ANN401 - LocalStack's
        """Show the containers."""
        for container in (self.stores, *self.also):
            visitor.visit(container)


class Services(dict[str, Service]):
    """LocalStack's service manager."""

    def list_active_services(self) -> list[str]:
        """Return all."""
        return list(self)

    def get_service(self, name: str) -> Service:
        """Return one."""
        return self[name]

    def require(self, name: str) -> Service:
        """Return one, made if need be."""
        return self.setdefault(name, Service("sqs"))


class Clock:
    """Time that a test lets pass."""

    now_s = 0.0

    def __call__(self) -> float:
        """Return it."""
        return self.now_s


Make = Callable[..., tuple[Services, Snapshots]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(folder: StateFolder, clock: Clock) -> Make:
    """Return what makes an emulator's services, and snapshots of them."""

    def make(*names: str, disk: Disk | None = None) -> tuple[Services, Snapshots]:
        services = Services({name: Service("sqs") for name in names})
        generations = Generations(folder, WRITER, disk or Disk())
        return services, Snapshots(generations, services, in_flight=set, clock=clock)

    return make


def test_what_was_saved_comes_back_in_place(make: Make) -> None:
    services, snapshots = make("one", "two")
    services["one"].things["k"] = "v"
    assert snapshots.save(everything=True)
    after, restoring = make("one")
    bundle = after["one"].stores
    restored = restoring.restore()
    assert restored is not None
    assert restored.services == ("one", "two")
    assert after["one"].stores is bundle
    assert after["one"].things == {"k": "v"}
    assert vars(bundle[ACCOUNT][REGION])["_universal"] is vars(bundle)["_universal"]
    assert bundle["111111111111"][REGION].things == {}


def test_nothing_is_written_while_nothing_changes(make: Make, clock: Clock) -> None:
    services, snapshots = make("one")
    services["one"].things["k"] = 1
    assert not snapshots.save()
    snapshots.dirty.mark("one", "PutThing")
    assert snapshots.status()["unsaved"] == ["one"]
    assert snapshots.save()
    assert not snapshots.save()  # twice looked at, and the same
    status = snapshots.status()
    assert (status["generation"], status["unsaved"]) == (1, [])
    assert time.time() - 60 < cast("float", status["saved_at_s"]) < time.time() + 1
    services["one"].things["k"] = 2  # by no request
    assert not snapshots.save()
    clock.now_s = FULL_S
    assert snapshots.save()


class Unpicklable:
    """Something that cannot be written."""

    def __init__(self, why: Exception) -> None:
        self.why = why

    def __reduce__(self) -> str:
        raise self.why


@pytest.mark.parametrize("why", [TypeError("not me"), ConnectionRefusedError("nobody there")])
def test_a_service_that_cannot_be_saved_is_said_once_and_stays_as_it_was(
    make: Make, caplog: pytest.LogCaptureFixture, why: Exception
) -> None:
    services, snapshots = make("bad", "good")
    services["bad"].things["k"] = "old"
    snapshots.save(everything=True)
    services["bad"].things["k"] = Unpicklable(why)
    services["good"].things["k"] = "new"
    snapshots.save(everything=True)
    services["good"].things["k"] = "newer"
    snapshots.save(everything=True)
    after, restoring = make()
    restoring.restore()
    assert (after["bad"].things, after["good"].things) == ({"k": "old"}, {"k": "newer"})
    assert caplog.text.count("keeper: bad is not saved") == 1


def test_an_unknown_container_is_named_once_and_the_others_saved(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    services, snapshots = make("one")
    services["one"].also.append({"a": "dict"})
    services["one"].things["k"] = "v"
    snapshots.save(everything=True)
    snapshots.save(everything=True)
    assert caplog.text.count("container of no known kind: builtins.dict") == 1
    after, restoring = make()
    restoring.restore()
    assert after["one"].things == {"k": "v"}


def test_a_store_is_saved_while_it_changes(make: Make) -> None:
    services, snapshots = make("busy")
    things = services["busy"].things
    things.update({str(n): [n] for n in range(1000)})
    done = threading.Event()

    def change() -> None:
        n = 0
        while not done.is_set():
            n += 1
            things[f"new{n % 50}"] = n
            things.pop(f"new{(n + 25) % 50}", None)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        assert snapshots.save(everything=True)
    finally:
        done.set()
        changing.join()
    after, restoring = make()
    restoring.restore()
    assert after["busy"].things["999"] == [999]


def test_a_full_disk_is_told_and_tried_again(make: Make, small_disk: SmallDisk) -> None:
    services, snapshots = make("one", disk=small_disk.disk())
    services["one"].things["k"] = "v" * 1000
    snapshots.dirty.mark("one", "PutThing")
    small_disk.room_bytes = 500
    with pytest.raises(OSError, match="No space") as caught:
        snapshots.save()
    assert caught.value.errno == errno.ENOSPC
    assert snapshots.status() == {
        "generation": 0,
        "saved_at_s": None,
        "unsaved": ["one"],
        "lost": [],
    }
    small_disk.room_bytes = 100_000
    assert snapshots.save()


class OnlyOnce:
    """Loads as long as a test says so."""

    loads = True

    def __reduce__(self) -> tuple[Callable[[], "OnlyOnce"], tuple[()]]:
        return _load, ()


def _load() -> OnlyOnce:
    if not OnlyOnce.loads:
        raise ValueError("no more")
    return OnlyOnce()


@pytest.fixture
def _not_loading() -> Iterator[None]:
    OnlyOnce.loads = False
    yield
    OnlyOnce.loads = True


def all_but_bad(make: Make, caplog: pytest.LogCaptureFixture) -> tuple[Services, Snapshots]:
    """Return what comes back of the second generation, without the service called bad."""
    after, restoring = make()
    with caplog.at_level(logging.ERROR):
        restored = restoring.restore()
    assert restored is not None
    assert (restored.number, restored.services) == (2, ("good",))
    assert restoring.status()["lost"] == ["bad"]
    return after, restoring


@pytest.mark.usefixtures("_not_loading")
def test_a_service_that_loads_nowhere_does_not_keep_the_others_away(
    make: Make, folder: StateFolder, caplog: pytest.LogCaptureFixture
) -> None:
    services, snapshots = make("bad", "good")
    services["bad"].things["k"] = OnlyOnce()
    for turn in range(2):
        services["good"].things["k"] = turn
        snapshots.save(everything=True)
    after, restoring = all_but_bad(make, caplog)
    assert after["good"].things == {"k": 1}
    assert "no more" in caplog.text
    assert len(list((folder.path / "set-aside").iterdir())) == 2
    assert restoring.save()


def test_damage_of_what_two_generations_share_costs_no_other_service(
    make: Make, folder: StateFolder, caplog: pytest.LogCaptureFixture
) -> None:
    services, snapshots = make("bad", "good")
    services["bad"].things["k"] = services["good"].things["k"] = 1
    snapshots.save(everything=True)
    services["good"].things["k"] = 2
    snapshots.dirty.mark("good", "PutThing")
    assert snapshots.save()
    first, second = (folder.path / f"generations/0000000{n}/bad.0.store" for n in (1, 2))
    assert first.stat().st_ino == second.stat().st_ino
    first.write_bytes(first.read_bytes()[:-1])
    after, _ = all_but_bad(make, caplog)
    assert after["good"].things == {"k": 2}
    assert "bad.0.store is not what was written" in caplog.text


def test_a_service_that_does_not_come_back_is_not_written_over(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    services, snapshots = make("bad", "good")
    services["bad"].things["k"] = services["good"].things["k"] = "kept"
    snapshots.save(everything=True)
    after, restoring = make("bad", "good")
    after["bad"].lifecycle_hook.on_before_state_load = _refuse
    restored = restoring.restore()
    assert restored is not None
    assert restored.services == ("good",)
    assert "bad is not restored" in caplog.text
    for turn in range(3):
        after["good"].things["k"] = turn
        assert restoring.save(everything=True)
    later, again = make()
    again.restore()
    assert (later["bad"].things, later["good"].things) == ({"k": "kept"}, {"k": 2})


def _refuse() -> None:
    raise ValueError("not today")


@pytest.mark.usefixtures("_not_loading")
def test_folders_of_a_generation_that_loads_in_part_come_back_too(
    make: Make, tmp_path: Path
) -> None:
    services, snapshots = make("bad", "files")
    services["bad"].things["k"] = OnlyOnce()
    folder = tmp_path / "assets"
    folder.mkdir()
    (folder / "file").write_bytes(b"kept")
    services["files"].also.append(AssetDirectory("files", str(folder)))
    snapshots.save(everything=True)
    (folder / "file").unlink()
    after, restoring = make("bad", "files")
    after["files"].also.append(AssetDirectory("files", str(folder)))
    restoring.restore()
    assert (folder / "file").read_bytes() == b"kept"
