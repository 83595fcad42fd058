"""Ends a fit in time: the factors of the iterations done are kept, and how many there were."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from movierec.model.fitted import Factors


@dataclass(slots=True)
class IterationWatch:
    """An `als.GoOn` that refuses an iteration which would end too late.

    `remaining_s` is the time left, as Lambda's context says it; `reserve_s` of it must stay for
    what comes after the fit. The next iteration is expected to take as long as the longest so far.
    """

    remaining_s: Callable[[], float]
    reserve_s: float
    iterations: int = 0

    _before_s: float = 0.0
    _longest_s: float = 0.0

    def __post_init__(self) -> None:
        """Start the clock."""
        self._before_s = self.remaining_s()

    def __call__(self, iterations: int, _factors: Factors) -> bool:
        """Return whether another iteration ends in time."""
        self.iterations = iterations
        left_s = self.remaining_s()
        if left_s == math.inf:  # nor is any share of it a number to reckon with
            return True
        self._longest_s = max(self._longest_s, self._before_s - left_s)
        self._before_s = left_s
        return left_s - self.reserve_s >= self._longest_s
