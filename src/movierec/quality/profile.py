"""The profile of a data set: its distributions as histograms, small enough to keep for ever.

It is a part of the data set's report, so that the next build can compare itself with it. What grows
with the stream has no place in a histogram: how active users and how popular movies are is kept as
the share of all interactions that the most active or most seen ones have (a Lorenz curve in steps).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from movierec.model.dataset import Dataset
from movierec.model.encoding import Array
from movierec.quality.drift import Histogram

FORMAT: Final = 1

GENRES_APART: Final = "|"

# Upper ends of the steps of a Lorenz curve: the top fiftieth of users or movies, the next 3%, ...
_STEPS: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)

_AGE_BANDS: Final = (18, 25, 35, 45, 55, 65)

# Correlations of attributes are of every n-th interaction: more add no digit that is shown.
_SAMPLE: Final = 200_000


@dataclass(frozen=True, slots=True, eq=False)
class Attributes:
    """What the tables know of a data set's movies and users, in the data set's order."""

    movies_known: Array | None
    """(n_movies,) bool, None without the table."""
    genres: Sequence[str]
    """Each movie's genres with `GENRES_APART` between, "" if unknown."""
    years: Array
    """(n_movies,) float, NaN if unknown, as the next two."""
    runtimes_minutes: Array
    votes: Array
    users_known: Array | None
    ages: Array
    """(n_users,) float, NaN if unknown."""


@dataclass(frozen=True, slots=True, eq=False)
class Clock:
    """Counts of events by the site's local hour, its offset from UTC, and how that was found."""

    hours: Array
    offsets: Sequence[str]
    bases: Sequence[str]
    counts: Array
    days: float
    """From the first event to the last."""


def profile(
    dataset: Dataset,
    attributes: Attributes,
    clock: Clock,
    ratings: Mapping[str, int],
    kinds: Mapping[str, int],
) -> dict[str, Any]:
    """Return the profile as plain values for JSON. `ratings` are on the site's scale."""
    sizes = np.diff(dataset.indptr)
    seen = np.bincount(dataset.movies, minlength=len(dataset.movie_ids))
    users = len(sizes)
    raters = int((np.add.reduceat(dataset.ratings > 0, dataset.indptr[:-1]) > 0).sum())
    histograms = {
        "ratings": Histogram(ratings, raters, ordered=True),
        # How unequal users are grows with the history; it says little of what is wrong.
        "activity": Histogram(lorenz(sizes), users, ordered=True, stops=False),
        "popularity": Histogram(lorenz(seen), len(seen), ordered=True),
        "genres": Histogram(_by_genre(seen, attributes.genres), users),
        "ages": _ages(attributes.ages),
        "hours": Histogram(_summed(clock.hours.astype(int).tolist(), clock.counts), users),
        "clock offsets": Histogram(_summed(clock.offsets, clock.counts), users, stops=False),
        "clock bases": Histogram(_summed(clock.bases, clock.counts), users, stops=False),
        "kinds": Histogram(kinds, users, stops=False),
    }
    return {
        "format": FORMAT,
        "days": round(clock.days, 3),
        "histograms": {name: each.to_json() for name, each in histograms.items()},
        "references": _references(dataset, seen, attributes),
        "distinct": {
            "users": users,
            "movies": len(seen),
            "ratings": len(np.unique(dataset.ratings)),
        },
        "missing": _missing(attributes),
        "correlations": correlations(dataset, attributes, sizes, seen),
    }


def lorenz(sizes: Array) -> dict[str, float]:
    """Return the share of the total, in ten-thousandths, in each step from the largest down."""
    total = float(sizes.sum())
    if not total:
        return {}
    running = np.concatenate(([0.0], np.cumsum(np.sort(sizes)[::-1], dtype=np.float64))) / total
    ends = np.interp(np.array(_STEPS) * len(sizes), np.arange(len(sizes) + 1), running)
    shares = np.diff(ends, prepend=0.0) * 10_000
    return {f"{step:g}": float(share) for step, share in zip(_STEPS, shares, strict=True)}


def _by_genre(seen: Array, genres: Sequence[str]) -> dict[str, float]:
    """Return interactions by genre; one with a movie of two genres counts for both."""
    counts: dict[str, float] = {}
    for viewers, names in zip(seen.tolist(), genres, strict=True):
        for name in names.split(GENRES_APART) if names else ():
            counts[name] = counts.get(name, 0) + viewers
    return dict(sorted(counts.items()))


def _ages(ages: Array) -> Histogram:
    """Return users of a known age by band, named by its lowest age."""
    known = ages[~np.isnan(ages)]
    bands = np.bincount(
        np.searchsorted(_AGE_BANDS, known, side="right"), minlength=len(_AGE_BANDS) + 1
    )
    names = (0, *_AGE_BANDS)
    counts = {str(name): int(n) for name, n in zip(names, bands, strict=True)}
    return Histogram(counts, len(known), ordered=True)


def _summed(names: Sequence[Any], counts: Array) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, n in zip(names, counts.tolist(), strict=True):
        found[str(name)] = found.get(str(name), 0) + n
    return dict(sorted(found.items()))


def _references(dataset: Dataset, seen: Array, attributes: Attributes) -> dict[str, Any]:
    """Return how many interactions name a movie or user without a row of its own."""
    sizes = np.diff(dataset.indptr)
    all_of_them = len(dataset.movies)
    sides = {"movies": (attributes.movies_known, seen), "users": (attributes.users_known, sizes)}
    return {
        side: {
            "unknown": int((~known).sum()),
            "interactions": int(counts[~known].sum()),
            "share": float(counts[~known].sum() / all_of_them),
        }
        for side, (known, counts) in sides.items()
        if known is not None
    }


def _missing(attributes: Attributes) -> dict[str, int]:
    return {
        "genres": sum(not names for names in attributes.genres),
        "years": int(np.isnan(attributes.years).sum()),
        "runtimes": int(np.isnan(attributes.runtimes_minutes).sum()),
        "votes": int(np.isnan(attributes.votes).sum()),
        "ages": int(np.isnan(attributes.ages).sum()),
    }


def correlations(
    dataset: Dataset, attributes: Attributes, sizes: Array, seen: Array
) -> list[list[Any]]:
    """Return Pearson's r of each two attributes over interactions that have both, by size."""
    step = 1 + len(dataset.movies) // _SAMPLE
    at = np.arange(0, len(dataset.movies), step)
    movies = dataset.movies[at]
    users = np.searchsorted(dataset.indptr, at, side="right") - 1
    ratings = dataset.ratings[at].astype(np.float64)
    columns = {
        "rating": np.where(ratings > 0, ratings, np.nan),
        "strength": dataset.strength[at].astype(np.float64),
        "user's age": attributes.ages[users],
        "user's interactions": np.log1p(sizes[users]),
        "movie's viewers": np.log1p(seen[movies]),
        "movie's year": attributes.years[movies],
        "movie's runtime": attributes.runtimes_minutes[movies],
        "movie's votes": attributes.votes[movies],
        "time": dataset.last_at[at].astype(np.float64),
    }
    names = list(columns)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    found = [(a, b, _pearson(columns[a], columns[b])) for a, b in pairs]
    known = [[a, b, round(r, 3)] for a, b, r in found if r is not None]
    return sorted(known, key=lambda each: (-abs(each[2]), each[0], each[1]))


def _pearson(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> float | None:
    """Return the correlation where both are known, None without a spread."""
    both = ~(np.isnan(left) | np.isnan(right))
    if not both.any():
        return None
    a, b = left[both] - left[both].mean(), right[both] - right[both].mean()
    spread = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / spread if spread > _NO_SPREAD else None


_NO_SPREAD: Final = 1e-9
