"""Error rates and speed of a release's quality verdict, on simulated releases.

Identical models, worse and better canaries walk the whole step schedule of `Policy()`; rivals see
the same site. Writes docs/releases-error-rates.md and its pictures as well.

    python -m bench.releases [--seed N] [--releases N]
"""

import argparse
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench import releases_page
from bench.benchmark_report import Row, publish
from bench.release_walk import End, Site, Walk, Walked
from movierec.releases.policy import Policy

EQUAL = Site(0.10, 0.10)
DAILY = Site(0.10, 0.10, swing=0.05)
RARE = Site(0.02, 0.02)
BAD = Site(0.10, 0.08)
AT_MARGIN = Site(0.10, 0.09)
HALF_WORSE = Site(0.10, 0.095)
HAIR_WORSE = Site(0.10, 0.099)
BETTER = Site(0.10, 0.12)

POWER = 0.9
"""What the fixed-size test, and the bar for catching, are set at."""

# Argo Rollouts' own example: the rates of the last five minutes, every five minutes, and three
# measurements may fail. https://argo-rollouts.readthedocs.io/en/stable/features/analysis/
_WINDOW_TICKS = 5
_FAILURES_ALLOWED = 3

Shares = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Played:
    """All releases of one site."""

    walks: Sequence[Walked]

    def percent(self, end: End) -> float:
        """Return how many of 100 ended so."""
        return 100 * sum(walk.end == end for walk in self.walks) / len(self.walks)

    def percent_worse_ever(self) -> float:
        """Return how many of 100 are found worse, after any trial or at any tick of the walk."""
        found = sum(walk.worse_ever or walk.end == "worse" for walk in self.walks)
        return 100 * found / len(self.walks)

    def times_s(self, end: End) -> list[float]:
        """Return the duration of the releases that ended so, ascending."""
        return sorted(walk.seconds for walk in self.walks if walk.end == end)

    def caught_after(self) -> list[int]:
        """Return the canary requests of the releases found worse, ascending."""
        return sorted(walk.canary_requests for walk in self.walks if walk.end == "worse")


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, print, write build/bench/releases.json and the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the randomness")
    parser.add_argument("--releases", type=int, default=1000, help="of each kind")
    given = parser.parse_args(arguments)
    policy, begin_s = Policy(), time.perf_counter()
    played = {
        site: play(site, policy, given.releases, (given.seed, i))
        for i, site in enumerate(
            (EQUAL, DAILY, RARE, BAD, AT_MARGIN, HALF_WORSE, HAIR_WORSE, BETTER)
        )
    }
    rivals = {
        site: Counts.draw(site, policy, given.releases, np.random.default_rng((given.seed, 99, i)))
        for i, site in enumerate((EQUAL, DAILY, BAD))
    }
    rows = [*_errors(played, rivals, policy), *_speed(played, rivals, policy)]
    took_s = round(time.perf_counter() - begin_s)
    publish("releases", rows, seed=given.seed, releases=given.releases, took_s=took_s)
    releases_page.write(rows, _curves(played, rivals, policy), given.seed, given.releases)
    return 0 if all(row.ok is not False for row in rows) else 1


def play(site: Site, policy: Policy, releases: int, seed: Sequence[int]) -> Played:
    """Walk a site's releases; with equal models, evaluate after every single trial as well."""
    rng, equal = np.random.default_rng(seed), site.canary == site.stable
    return Played([Walk(site, policy, rng, every_trial=equal).run() for _ in range(releases)])


# Rivals -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Requests and hits between ticks of releases that go on after each dwell; (releases, ticks).

    The rivals have no verdict for "not known yet", so their schedule is the clock's.
    """

    canary: Shares
    canary_hits: Shares
    stable: Shares
    stable_hits: Shares

    @classmethod
    def draw(cls, site: Site, policy: Policy, releases: int, rng: np.random.Generator) -> "Counts":
        """Draw the counts of a site."""
        dwell = round(policy.dwell_s / policy.look_s)
        weight = np.repeat([percent / 100 for percent in policy.steps[:-1]], dwell)
        at_s = site.some_time_s(rng, (releases, 1)) + (np.arange(len(weight)) + 0.5) * policy.look_s
        stable_rate, canary_rate = site.rates(at_s)
        requests = site.requests(policy.look_s)
        canary = rng.binomial(requests, weight, (releases, len(weight)))
        stable = requests - canary
        return cls(
            canary.astype(float),
            rng.binomial(canary, canary_rate).astype(float),
            stable.astype(float),
            rng.binomial(stable, stable_rate).astype(float),
        )

    def so_far(self) -> "Counts":
        """Return the sums from the start to each tick."""
        every = (self.canary, self.canary_hits, self.stable, self.stable_hits)
        return Counts(*(np.cumsum(each, axis=1) for each in every))

    def windows(self, ticks: int) -> "Counts":
        """Return the sums of each window of so many ticks."""
        every = (self.canary, self.canary_hits, self.stable, self.stable_hits)
        return Counts(*(each.reshape(len(each), -1, ticks).sum(axis=2) for each in every))

    def gain(self) -> Shares:
        """Return the canary's rate less stable's."""
        return self.canary_hits / np.maximum(self.canary, 1) - self.stable_hits / self.stable

    def z(self) -> Shares:
        """Return the two-proportion z statistic of pooled variance."""
        requests = self.canary + self.stable
        rate = (self.canary_hits + self.stable_hits) / requests
        variance = rate * (1 - rate) * requests / np.maximum(self.canary, 1) / self.stable
        z: Shares = self.gain() / np.sqrt(variance)
        return z


def peeked_z(counts: Counts, policy: Policy) -> Shares:
    """Return the percentage aborted by each tick, by a fixed-size z-test done at each (peeking)."""
    found = counts.so_far()
    critical = statistics.NormalDist().inv_cdf(policy.alpha)
    return _aborted(found.z() < critical, found, policy)


def threshold(counts: Counts, policy: Policy) -> Shares:
    """Return the percentage aborted by each tick for a rate below stable's by the margin."""
    found = counts.so_far()
    return _aborted(found.gain() < -policy.margin, found, policy)


def _aborted(alarms: npt.NDArray[np.bool_], found: Counts, policy: Policy) -> Shares:
    ready = np.minimum(found.canary, found.stable) >= policy.min_trials
    ever: Shares = np.maximum.accumulate(alarms & ready, axis=1).mean(axis=0)
    return 100 * ever


def window_threshold(counts: Counts, policy: Policy) -> float:
    """Return the percentage aborted in Argo Rollouts' way, see _WINDOW_TICKS."""
    failures = (counts.windows(_WINDOW_TICKS).gain() < -policy.margin).sum(axis=1)
    return float(100 * (failures > _FAILURES_ALLOWED).mean())


def fixed_size(site: Site, weight: float, alpha: float, power: float) -> float:
    """Return the canary requests that a one-sided two-proportion z-test of that power needs.

    With `weight` of all requests on the canary. Fleiss, Levin & Paik 2003, "Statistical Methods
    for Rates and Proportions", 3rd edition, section 4.3: unequal sample sizes, here without the
    continuity correction, which would only add to it.
    """
    normal = statistics.NormalDist()
    p, q, ratio = site.canary, site.stable, (1 - weight) / weight
    mean = weight * p + (1 - weight) * q
    null = math.sqrt(mean * (1 - mean) * (1 + 1 / ratio))
    other = math.sqrt(p * (1 - p) + q * (1 - q) / ratio)
    size = normal.inv_cdf(1 - alpha) * null + normal.inv_cdf(power) * other
    return (size / (q - p)) ** 2


# Rows ---------------------------------------------------------------------------------------


def _errors(played: dict[Site, Played], rivals: dict[Site, Counts], policy: Policy) -> list[Row]:
    goal, equal = 100 * policy.alpha, played[EQUAL].percent("worse")
    once = rivals[DAILY].so_far().z()[:, -1] < statistics.NormalDist().inv_cdf(policy.alpha)
    name = "identical models, aborted as worse"
    return [
        Row(name, equal, "%", goal=goal, rival="z-test at every tick",
            rival_value=float(peeked_z(rivals[EQUAL], policy)[-1])),
        Row(name, equal, "%", goal=goal, rival="threshold at every tick",
            rival_value=float(threshold(rivals[EQUAL], policy)[-1])),
        Row(name, equal, "%", goal=goal, rival="threshold, 5 min windows",
            rival_value=window_threshold(rivals[EQUAL], policy)),
        Row("the same, evaluated after every trial", played[EQUAL].percent_worse_ever(), "%",
            goal=goal),
        Row("the same, hit rate 5 to 15 % over the day", played[DAILY].percent("worse"), "%",
            goal=goal, rival="z-test once, at the end", rival_value=float(100 * once.mean())),
        Row("the same, after every trial", played[DAILY].percent_worse_ever(), "%", goal=goal),
        Row("the same, hit rate 2 %, after every trial", played[RARE].percent_worse_ever(), "%",
            goal=goal),
        Row("worse by the whole margin (10 to 9 %), promoted",
            played[AT_MARGIN].percent("promoted"), "%", goal=goal),
    ]  # fmt: skip


def _speed(played: dict[Site, Played], rivals: dict[Site, Counts], policy: Policy) -> list[Row]:
    needed = fixed_size(BAD, policy.steps[0] / 100, policy.alpha, POWER)
    shortest_s = len(policy.steps) * policy.dwell_s
    better_s = played[BETTER].times_s("promoted")
    on_time = sum(took_s == shortest_s for took_s in better_s) / len(played[BETTER].walks)
    caught, after = played[BAD].percent("worse"), played[BAD].caught_after()
    return [
        Row("two points worse (10 to 8 %), caught", caught, "%", "higher", goal=100 * POWER,
            rival="threshold, 5 min windows", rival_value=window_threshold(rivals[BAD], policy)),
        Row("canary requests until caught, median", _median(after), "",
            goal=2 * needed, rival="fixed-size test", rival_value=needed),
        Row("canary requests until caught, 9 of 10", float(np.quantile(after or math.inf, 0.9)),
            "", rival="fixed-size test", rival_value=needed),
        Row("two points better, promoted in the shortest time", 100 * on_time, "%", "higher",
            goal=90.0),
        Row("two points better, time beyond the shortest, median",
            _median(better_s) - shortest_s, "s", goal=0.0),
        *(
            Row(f"{what}, {said}", played[site].percent(end), "%")
            for what, site in _INTERESTING
            for said, end in _ENDS
        ),
        Row("identical, time to promotion, median",
            _median(played[EQUAL].times_s("promoted")) / 3600, "h"),
    ]  # fmt: skip


_ENDS: tuple[tuple[str, End], ...] = (
    ("promoted", "promoted"),
    ("aborted as worse", "worse"),
    ("rolled back at the time limit", "limit"),
)


_INTERESTING: tuple[tuple[str, Site], ...] = (
    ("identical", EQUAL),
    ("a tenth of a point worse", HAIR_WORSE),
    ("half a point worse", HALF_WORSE),
)


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else math.inf


def _curves(
    played: dict[Site, Played], rivals: dict[Site, Counts], policy: Policy
) -> releases_page.Curves:
    return releases_page.Curves(
        policy=policy,
        aborted_s=played[EQUAL].times_s("worse"),
        peeked_z=peeked_z(rivals[EQUAL], policy).tolist(),
        threshold=threshold(rivals[EQUAL], policy).tolist(),
        caught={
            "two points worse": played[BAD].caught_after(),
            "one point worse": played[AT_MARGIN].caught_after(),
        },
        fixed_size=fixed_size(BAD, policy.steps[0] / 100, policy.alpha, POWER),
        promoted_s={
            "two points better": played[BETTER].times_s("promoted"),
            "identical": played[EQUAL].times_s("promoted"),
            "half a point worse": played[HALF_WORSE].times_s("promoted"),
        },
        releases=len(played[EQUAL].walks),
    )


if __name__ == "__main__":
    raise SystemExit(main())
