"""S3's s3 on a disk whose power goes: nothing that was acknowledged goes with it."""

import contextlib
import random
from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import NoReturn

import pytest
from localstack.services.s3.models import s3_stores
from tests.power import Power, PowerCutError

from localstack_keeper import object_bodies
from localstack_keeper.disk import Disk
from localstack_keeper.object_bodies import PACKED_BYTES, PackFiles
from localstack_keeper.s3_journal_records import body_of, find_bucket, replay
from localstack_keeper.s3_persistence import S3Persistence
from localstack_keeper.state_folder import StateFolder

SMALL_PACK_BYTES = 1536 * 1024
SIZES = (0, 10, 5_000, 100_000, 300_000, PACKED_BYTES, PACKED_BYTES + 1)
BUCKET = "b"


@pytest.fixture(autouse=True)
def _small_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have packs that are full after some puts."""
    monkeypatch.setattr(object_bodies, "PackFiles", partial(PackFiles, pack_bytes=SMALL_PACK_BYTES))
    s3_stores.reset()
    yield
    s3_stores.reset()


class Client:
    """A client that puts and deletes, and knows what was acknowledged."""

    def __init__(self, s3: S3Persistence, chance: random.Random) -> None:
        self.history: list[dict[str, bytes]] = [{}]
        """What there was after each change."""
        self.acknowledged = 0
        """How many of the changes were."""
        self._s3 = s3
        self._chance = chance
        self._bodies: dict[str, str] = {}

    def begin(self) -> None:
        """Make the bucket."""
        of = {"name": BUCKET, "bucket_account_id": "000000000000", "bucket_region": "us-east-1"}
        self._append(("bucket", BUCKET, "000000000000", False, of))

    def _append(self, record: tuple[object, ...]) -> None:
        replay(record)
        self._s3.append(record)

    def go_on(self) -> NoReturn:
        """Do things until there is no power."""
        while True:
            with contextlib.suppress(OSError):
                self.step()

    def step(self) -> None:
        """Do a few things in one commit, as concurrent requests do. Raises OSError."""
        for _ in range(self._chance.choice([1, 1, 1, 4])):
            key = f"k{self._chance.randrange(12)}"
            if self._happens(0.2):
                self._delete(key)
            else:
                self._put(key)
        self._s3.commit()
        self.acknowledged = len(self.history) - 1
        if self._happens(0.05):
            self._s3.checkpoint()
        if self._happens(0.3):
            self._s3.maintain()
        if self._happens(0.05):
            self._s3.close()

    def _happens(self, chance: float) -> bool:
        return self._chance.random() < chance

    def _delete(self, key: str) -> None:
        self._append(("gone", BUCKET, key, None))
        self._s3.discard(self._bodies.pop(key, None))
        self.history.append({of: data for of, data in self.history[-1].items() if of != key})

    def _put(self, key: str) -> None:
        data = self._chance.randbytes(self._chance.choice(SIZES))
        draft = self._s3.bodies.draft()
        for start in range(0, len(data), 65_536):
            draft.write(data[start : start + 65_536])
        draft.finish()
        of = {"key": key, "version_id": None, "is_current": True, "keeper_body": draft.name}
        self._append(("object", BUCKET, key, False, of))
        self._s3.discard(self._bodies.get(key))
        self._bodies[key] = draft.name
        self.history.append({**self.history[-1], key: data})


def contents(s3: S3Persistence) -> dict[str, bytes]:
    bucket = find_bucket(BUCKET)
    assert bucket is not None
    found = {}
    for thing in bucket.objects.values():
        name = body_of(thing)
        assert name is not None
        with s3.bodies.open(name) as file:
            found[thing.key] = file.read()
    return found


@pytest.mark.parametrize("failures", [0.0, 0.03])
@pytest.mark.parametrize("seed", range(30))
def test_after_a_power_cut_there_is_what_was_acknowledged_and_nothing_without_what_came_before(
    folder: StateFolder, seed: int, failures: float
) -> None:
    """On a disk that takes everything, and on one that refuses something now and then."""
    chance = random.Random(seed)
    s3 = S3Persistence.recover(folder, Disk(), clock=lambda: 0.0)
    Client(s3, chance).begin()
    s3.close()
    power = Power(seed)
    clock = count()
    s3 = S3Persistence.recover(folder, power.disk(), clock=lambda: float(next(clock)))
    client = Client(s3, chance)
    power.fail_sometimes(failures)
    power.go_after(chance.randrange(300))
    with pytest.raises(PowerCutError):
        client.go_on()
    power.cut()
    s3_stores.reset()
    again = S3Persistence.recover(folder, Disk(), clock=lambda: 0.0)
    assert contents(again) in client.history[client.acknowledged :]
    again.close()
