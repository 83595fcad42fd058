"""What has been spent on a language model in a day, within a budget, in an object store.

    tastes/spending/<day in UTC>/<number>.json    {"usd": ..., "calls": ..., ...}

Each object is the day's total so far; the newest number counts. A change is a conditional put of
the next number: of two at once the loser reads again. A run reserves the most that its requests can
cost before it sends one, and gives back afterwards what they did not cost. So two runs at once
share one budget, and what a killed run has reserved counts as spent until the day ends.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from movierec.errors import ArtifactError, ObjectExistsError
from movierec.model import encoding
from movierec.ports import ObjectStore

PREFIX: Final = "tastes/spending/"

# Runs at once are two at most, but for a mistake; each attempt means that another has succeeded.
_ATTEMPTS: Final = 20


@dataclass(frozen=True, slots=True)
class Spent:
    """Dollars, those that are reserved included, and what was counted for them."""

    usd: float = 0.0
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Self) -> Self:
        return type(self)(
            *(
                one + another
                for one, another in zip(
                    dataclasses.astuple(self), dataclasses.astuple(other), strict=True
                )
            )
        )

    @classmethod
    def load(cls, name: str, body: bytes) -> Self:
        """Return what `dump` wrote. Raises ArtifactError: an unreadable total allows nothing."""
        found: Any = encoding.load_json(name, body)
        try:
            spent = cls(**found)
            numbers = [float(one) for one in dataclasses.astuple(spent)]
        except (TypeError, ValueError) as exc:
            raise ArtifactError(f"{name} is no total of a day: {exc}") from exc
        if not all(math.isfinite(one) for one in numbers):
            raise ArtifactError(f"{name} is no total of a day: {found}")
        return spent

    def dump(self) -> bytes:
        """Return it as JSON."""
        return encoding.dump_json(dataclasses.asdict(self))


class Ledger:
    """The totals of one day."""

    def __init__(self, store: ObjectStore, now: datetime) -> None:
        self._store = store
        self._folder = f"{PREFIX}{now.astimezone(UTC):%Y-%m-%d}/"

    def total(self) -> Spent:
        """Return what is spent or reserved. Raises ArtifactError."""
        return self._newest()[1]

    def reserve(self, budget_usd: float, *, least_usd: float, most_usd: float) -> float | None:
        """Reserve `most_usd`, or what is left of the budget, and return how much.

        None if less than `least_usd` is left. Raises StoreError.
        """
        granted: float | None = None

        def grant(total: Spent) -> Spent:
            nonlocal granted
            left = budget_usd - total.usd
            granted = min(left, most_usd) if left >= least_usd else None
            return total + Spent(usd=granted or 0.0)

        self._change(grant)
        return granted

    def settle(self, reserved_usd: float, spent: Spent) -> None:
        """Count what was spent in place of what was reserved. Raises StoreError."""
        self._change(lambda total: total + Spent(usd=-reserved_usd) + spent)

    def _change(self, change: Callable[[Spent], Spent]) -> None:
        for attempt in range(_ATTEMPTS):
            number, total = self._newest()
            changed = change(total)
            if changed == total:
                return
            try:
                self._store.put_if_absent(self._key(number + 1), changed.dump())
            except ObjectExistsError:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

    def _newest(self) -> tuple[int, Spent]:
        key = max(self._store.keys(self._folder), default=None)
        if key is None:
            return 0, Spent()
        number = key.removeprefix(self._folder).removesuffix(".json")
        if not number.isdecimal():
            raise ArtifactError(f"{key} is no total of a day")
        return int(number), Spent.load(key, self._store.get(key))

    def _key(self, number: int) -> str:
        # Byte order is the order of the numbers.
        return f"{self._folder}{number:08}.json"
