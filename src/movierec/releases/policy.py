"""Release policy: every parameter of a release, with the reason for its default.

`make bench-releases` measures their effect; its page is docs/releases-error-rates.md. Terraform
passes overrides as one JSON object, see `movierec.settings.RELEASE_POLICY`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal, Self

from movierec import settings
from movierec.errors import ConfigError, UsageError
from movierec.parameters import read_parameters, require

# An hour of a site with 2,800 requests a second; a million trials fit into a function's memory.
_MOST_TRIALS: Final = 10_000_000
_MONTH_S: Final = 31 * 86_400.0


@dataclass(frozen=True, slots=True)
class Policy:
    """Parameters of a release. Shares of requests are percent, rates 0 to 1, times seconds."""

    steps: tuple[float, ...] = (5.0, 25.0, 50.0, 100.0)
    """Percent of requests to the canary, step by step; the last is 100.

    The first step is to catch a bad canary: 5 % keeps 19 of 20 requests from it, and gives one
    canary request a second on a site of 20. A larger share catches it no earlier in canary
    requests, which is what a bad model costs. 25 % and 50 % catch what grows with load.
    """

    alpha: float = 0.05
    """Largest probability that a canary no worse than stable is called worse, over all evaluations;
    and that one worse by `margin` is called fine.

    One in twenty retrainings lost to chance is acceptable: the next one comes by schedule. Halving
    it costs a sixth more trials to catch a loss of two points.
    """

    margin: float = 0.01
    """A canary is fine when its hit rate is not lower by more than this, absolute.

    A tenth of a hit rate of 10 %. The trials needed grow with 1 / margin²: half a point would keep
    a canary that equals stable at 5 % for nine hours instead of two.
    """

    min_trials: int = 300
    """No verdict before each side has this many trials.

    The bounds are asymptotic. At a hit rate of 10 % these are 30 hits, where a sum of hits becomes
    approximately normal; a canary that loses half of all hits is caught right there.
    """

    sharpest_at_trials: int = 3_000
    """The number of canary trials where the bounds are tightest for their level.

    A loss of two points shows after 1,600, equality within a point after 7,500: this lies
    between, and costs 2 % of width at either.
    """

    dwell_s: float = 3_600.0
    """Shortest time at a step.

    Of it, all but `horizon_s` brings outcomes: 3,000 canary trials at 5 % of 20 requests a second,
    enough for a canary that is two points better to be found fine at the first chance. And alarms
    on errors and latency see an hour of traffic at each load.
    """

    step_limit_s: float = 28_800.0
    """Longest time at a step; after that the release is rolled back.

    A canary that equals stable is found fine within eight hours in 99 of 100 releases. One that is
    not is about a point worse, or the site has too little traffic to decide.
    """

    look_s: float = 60.0
    """Time between two evaluation ticks. The bounds hold at every tick, so this is only the delay
    of a rollback: at 5 %, 60 requests more to a bad canary."""

    horizon_s: float = 600.0
    """Attribution window: time after a recommendation in which a started movie counts as a hit.

    Users choose from the list in the first minutes; the rest is for lines that arrive late. Every
    outcome is known this much later: a longer horizon delays every rollback.
    """

    settle_s: float = 30.0
    """Trials this close to a change of weight, before or after, are left out.

    Requests are routed by the old weight for seconds after the new one is logged, and clocks
    differ. A trial with the wrong weight would bias the comparison; leaving it out costs little.
    """

    on_busy: Literal["wait", "replace"] = "wait"
    """What a new release does while another is active: wait for its end, or roll it back.

    With "replace", no release ends if retraining is scheduled more often than a release lasts.
    """

    def __post_init__(self) -> None:
        """Raise UsageError for a value out of its range."""
        for name, value, holds, expected in self._rules():
            require(holds, name, value, expected)

    def _rules(self) -> Iterator[tuple[str, object, bool, str]]:
        steps = self.steps
        ends = bool(steps) and steps[0] > 0 and steps[-1] == 100  # noqa: PLR2004  percent
        ascending = ends and all(a < b for a, b in pairwise(steps))
        yield "steps", steps, ascending, "percents above 0, ascending, the last 100"
        # From one half on, the lower bound would exceed the upper one.
        yield "alpha", self.alpha, 0 < self.alpha < 0.5, "more than 0, less than 0.5"  # noqa: PLR2004
        yield "margin", self.margin, 0 < self.margin < 1, "more than 0, less than 1"
        for name in ("min_trials", "sharpest_at_trials"):
            trials = getattr(self, name)
            yield name, trials, 1 <= trials <= _MOST_TRIALS, f"1 to {_MOST_TRIALS:,}"
        for name in ("dwell_s", "look_s", "horizon_s"):
            seconds = getattr(self, name)
            yield name, seconds, 0 < seconds <= _MONTH_S, "more than 0, a month at most"
        yield "settle_s", self.settle_s, 0 <= self.settle_s <= _MONTH_S, "0 to a month"
        least_s = max(self.dwell_s, self.look_s, self.horizon_s + self.settle_s)
        reachable = least_s < self.step_limit_s <= _MONTH_S
        expected = (
            "more than dwell_s, look_s and horizon_s + settle_s (no outcome would be known "
            "before), a month at most"
        )
        yield "step_limit_s", self.step_limit_s, reachable, expected

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Return the default policy with these overrides. Raises UsageError."""
        return read_parameters(cls, values)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Return the policy that the environment sets. Raises ConfigError."""
        return cls.from_json(env.get(settings.RELEASE_POLICY) or "{}")

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the policy in the text of MOVIEREC_RELEASE_POLICY. Raises ConfigError."""
        try:
            return cls.read(_object(text))
        except UsageError as exc:
            raise ConfigError(f"{settings.RELEASE_POLICY}: {exc}") from exc


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ConfigError(
            f"{settings.RELEASE_POLICY} is no JSON ({exc}): {_shortened(text)}"
        ) from exc
    if not isinstance(found, dict):
        raise ConfigError(
            f"{settings.RELEASE_POLICY} is {_shortened(text)}: expected a JSON object, like"
            ' {"margin": 0.02}'
        )
    return found


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}…")  # noqa: PLR2004  one line
