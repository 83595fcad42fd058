"""Simulation of a release: a site's requests, the canary's steps, and the product's verdicts.

Only the site is simulated. Sums, bounds and verdicts are `movierec.releases.sequential_test`;
next actions are `movierec.releases.state_machine`.
"""

import math
from dataclasses import dataclass, field, fields
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from movierec.releases import sequential_test, state_machine
from movierec.releases.policy import Policy
from movierec.releases.sequential_test import Bounds, Floats, Sums, Trials, Verdict
from movierec.releases.state_machine import NextAction
from movierec.releases.traffic_split import ALL_PERCENT

_DAY_S: Final = 86_400.0
# Evaluation ticks simulated at once: small enough for a processor's cache, large enough for NumPy.
_BATCH_TICKS: Final = 20

End = Literal["promoted", "worse", "limit"]

_SUMS: Final = tuple(each.name for each in fields(Sums))


@dataclass(frozen=True, slots=True)
class Site:
    """Hit rates of stable and canary; both swing by `swing` up and down over the day."""

    stable: float
    canary: float
    swing: float = 0.0
    per_s: float = 20.0

    def some_time_s(self, rng: np.random.Generator, shape: tuple[int, ...] = ()) -> Floats:
        """Return seconds of the day."""
        return np.asarray(rng.random(shape) * _DAY_S)

    def rates(self, at_s: npt.NDArray[np.floating]) -> tuple[Floats, Floats]:
        """Return stable's and canary's hit rate at seconds of the day; all of one shape."""
        swing = self.swing * np.sin(2 * np.pi * at_s / _DAY_S)
        return self.stable + swing, self.canary + swing

    def trials(
        self, weight: float, begin_s: float, ticks: int, tick_s: float, rng: np.random.Generator
    ) -> Trials:
        """Return the requests of some ticks from `begin_s` of the day on."""
        per_tick = self.requests(tick_s)
        stable_rate, canary_rate = self.rates(begin_s + (np.arange(ticks) + 0.5) * tick_s)
        canary = rng.random((ticks, per_tick), np.float32) < weight
        rate = np.where(canary, canary_rate[:, np.newaxis], stable_rate[:, np.newaxis])
        hit = rng.random((ticks, per_tick), np.float32) < rate
        return Trials(canary.ravel(), hit.ravel(), np.full(ticks * per_tick, weight))

    def requests(self, span_s: float) -> int:
        """Return how many requests there are in a span of time."""
        return round(self.per_s * span_s)


@dataclass(frozen=True, slots=True)
class Walked:
    """How a release ended, when, and what it cost."""

    end: End
    seconds: float
    canary_requests: int
    """Sent to the canary until the end, with those whose outcome was not known yet."""
    worse_ever: bool
    """Whether an evaluation after every single trial would have found the canary worse."""


@dataclass(frozen=True, slots=True)
class _Served:
    """Results of a batch of ticks: canary requests so far by tick, sums by trial."""

    requests: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    """Where each tick cuts `sums`."""
    sums: Sums


@dataclass(slots=True)
class Walk:
    """One release of one site under one policy."""

    site: Site
    policy: Policy
    rng: np.random.Generator
    every_trial: bool = False
    """Whether to evaluate after every single trial, too, for `Walked.worse_ever`."""
    _requests: int = 0
    _worse_ever: bool = False
    _begin_s: float = field(init=False)
    _known: Floats = field(init=False)
    """Column i: the sums of what was served until the i-th tick of the release."""

    def __post_init__(self) -> None:
        """Begin at any time of the day."""
        self._begin_s = float(self.site.some_time_s(self.rng))
        longest = math.floor(self.policy.step_limit_s / self.policy.look_s) + 1
        ticks = len(self.policy.steps) * longest
        self._known = np.zeros((len(fields(Sums)), ticks + 1 + _BATCH_TICKS))

    def run(self) -> Walked:
        """Walk the steps until promotion or rollback."""
        decision, tick = NextAction("weigh", self.policy.steps[0], ""), 0
        verdict: Verdict = "unclear"
        while decision.name == "weigh":
            tick, verdict, decision = self._step(decision.percent, tick)
        failed: End = "worse" if verdict == "worse" else "limit"
        end = "promoted" if decision.name == "promote" else failed
        return Walked(end, tick * self.policy.look_s, self._requests, self._worse_ever)

    def _step(self, percent: float, begin: int) -> tuple[int, Verdict, NextAction]:
        """Return the tick that ended a step, and why; the step began at tick `begin`."""
        tick = begin
        while True:
            # What the old weight may have routed, on both sides of the change.
            skip_s = 2 * self.policy.settle_s if tick == begin else 0.0
            served = self._serve(percent / ALL_PERCENT, tick, self.site.requests(skip_s))
            for i, verdict in enumerate(self._verdicts(tick), 1):
                in_step_s = (tick + i - begin) * self.policy.look_s
                decision = state_machine.next_action_at(percent, verdict, in_step_s, self.policy)
                if decision.name != "hold":
                    self._account(served, i)
                    return tick + i, verdict, decision
            self._account(served, _BATCH_TICKS)
            tick += _BATCH_TICKS

    def _serve(self, weight: float, tick: int, skip: int) -> _Served:
        """Serve a batch of ticks from `tick` on, all but the first `skip` requests to be judged."""
        per_tick = self.site.requests(self.policy.look_s)
        cuts = per_tick * np.arange(1, _BATCH_TICKS + 1)
        before = self._known[:, [tick]]
        columns = slice(tick + 1, tick + 1 + _BATCH_TICKS)
        if weight == 1:  # nobody is drawn: nothing to be learned
            self._known[:, columns] = before
            return _Served(cuts, 0 * cuts, Sums(*before))
        begin_s = self._begin_s + tick * self.policy.look_s
        trials = self.site.trials(weight, begin_s, _BATCH_TICKS, self.policy.look_s, self.rng)
        judged = Trials(trials.canary[skip:], trials.hit[skip:], trials.weight[skip:])
        sums = sequential_test.running_sums(judged, Sums(*before))
        ends = np.maximum(cuts - skip, 0)
        for i, name in enumerate(_SUMS):
            column = np.concatenate((before[i], getattr(sums, name)[np.maximum(ends - 1, 0)]))
            self._known[i, columns] = np.where(ends > 0, column[1:], column[0])
        return _Served(np.cumsum(trials.canary)[cuts - 1], ends, sums)

    def _verdicts(self, tick: int) -> list[Verdict]:
        """Return the verdicts at a batch of ticks: on what was served a horizon before each."""
        lag = math.ceil(self.policy.horizon_s / self.policy.look_s)
        columns = np.maximum(tick + np.arange(1, _BATCH_TICKS + 1) - lag, 0)
        found = sequential_test.bounds_of(Sums(*self._known[:, columns]), self.policy)
        pairs = zip(found.lower.tolist(), found.upper.tolist(), strict=True)
        return [
            sequential_test.verdict(Bounds(lower=low, upper=high), self.policy)
            for low, high in pairs
        ]

    def _account(self, served: _Served, ticks: int) -> None:
        """Count what was served until the batch's `ticks`-th tick."""
        self._requests += int(served.requests[ticks - 1])
        if self.every_trial and not self._worse_ever:
            sums, end = served.sums, int(served.ends[ticks - 1])
            # At no time is the boundary nearer than two deviations: most trials need no bounds.
            near = np.flatnonzero(sums.score[:end] < -2 * np.sqrt(sums.pooled[:end]))
            found = sequential_test.bounds_of(
                Sums(*(getattr(sums, n)[near] for n in _SUMS)), self.policy
            )
            self._worse_ever = bool((found.upper < 0).any())
