"""Users and movies: what a user got, why, and what they did; how a movie is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from console.page import Page, Panel, Query
from console.system import System
from movierec.errors import UsageError
from movierec.lake.activity import Exposure
from movierec.lake.catalog import LONGEST_MOVIE_ID
from movierec.lake.served import Served, detail_of
from movierec.model.explanation import Explanation
from movierec.taste import served_list

_LISTS: Final = 12
_DEEDS: Final = 40

# After it a viewing is no longer taken for the list's doing: the release policy's default horizon
# is ten minutes; a person who looks at one user may want the evening.
_AFTER: Final = timedelta(hours=3)

REASONS: Final[Mapping[str, str]] = {
    "model": "the list of the training",
    "fold_in": "made anew from what the user has done since the training",
    "description": "from what the user wrote of themselves",
    "group": "the popular list of the user's group",
    served_list.FALLBACK: "the popular list of the user's group: nothing is known of the user",
}
"""What a list was made from, in words; the keys are those of `Explanation.made_from`."""

_SOURCES: Final[Mapping[str, str]] = {
    "model": "the model's list",
    "popular": "the popular list of the user's group: the model does not know the user",
    "fallback": "the proxy's own popular list: the API gave no answer in time",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A recommendation, why it was what it was, and which of its movies were watched after it."""

    served: Served
    why: str
    watched: frozenset[str]


@dataclass(frozen=True, slots=True)
class History:
    """A user's lists and deeds, newest first, with the titles of the movies in them."""

    user_id: int
    profile: Mapping[str, Any] | None
    lists: Sequence[Shown]
    deeds: Sequence[Mapping[str, Any]]
    titles: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Explained:
    """What a user's list was made from, and what pulled each movie."""

    made_from: str
    explanation: Explanation
    titles: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MovieShown:
    """What the catalog says of a movie, and its exposure by model."""

    movie_id: str
    facts: Mapping[str, Any] | None
    exposure: Sequence[Exposure]


def read_search(_: System, __: Query) -> None:
    """Nothing is read: the form has what the address says."""
    return


def read_user(system: System, query: Query) -> History | None:
    """Return what a user got and did; None if none was asked for."""
    user = query.number("user")
    if user is None:
        return None
    activity = system.activity()
    lists, deeds = activity.served_to(user, _LISTS), activity.did(user, _DEEDS)
    shown = [Shown(each, why(each), _watched(each, deeds)) for each in lists]
    named = {movie for each in lists for movie in each.movie_ids}
    named |= {str(deed["movie_id"]) for deed in deeds}
    titles = activity.titles(named) if named else {}
    return History(user, activity.profile(user), shown, deeds, titles)


def why(found: Served) -> str:
    """Return in words where a list came from."""
    detail = detail_of(found) or {}
    reason = REASONS.get(str(detail.get("reason")), "")
    source = _SOURCES.get(found.source, found.source or "unknown")
    return f"{source}, {reason}" if reason and found.source == "model" else reason or source


def _watched(found: Served, deeds: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(
        str(deed["movie_id"])
        for deed in deeds
        if deed["kind"] == "watch"
        and deed["movie_id"] in found.movie_ids
        and found.served_at <= deed["event_time"] <= found.served_at + _AFTER
    )


def read_explained(system: System, query: Query) -> Explained | None:
    """Return what pulled the list that the user gets; None unless that was asked for."""
    user = query.number("user")
    if user is None or not query.text("explain"):
        return None
    releases = system.releases()
    split = releases.split()
    version = releases.models(split).get(split.stable) if split else None
    if version is None:
        raise UsageError("no model serves yet: train one with `movierec retrain`, then release it")
    found = served_list.explain(system.store(), version, user, system.list_facts(user))
    pulling = {pull.movie_id for each in found.movies for pull in each.pulls}
    titles = system.activity().titles({each.movie_id for each in found.movies} | pulling)
    return Explained(REASONS[found.made_from], found, titles)


def read_movie(system: System, query: Query) -> MovieShown | None:
    """Return a movie and its exposure in the window; None if none was asked for."""
    movie = query.text("movie")
    if not movie:
        return None
    if len(movie) > LONGEST_MOVIE_ID:
        raise UsageError(f"a movie's id has at most {LONGEST_MOVIE_ID} characters")
    activity = system.activity()
    return MovieShown(movie, activity.movie(movie), activity.exposure(movie, query.window))


PAGE: Final = Page(
    "users",
    "Users and movies",
    "What a user got, why, and what they did; how often a movie is shown.",
    order=5,
    windowed=True,
    parameters=("user", "movie", "explain"),
    panels=(
        Panel("search", "Find", read_search, span=3, refresh_s=0),
        Panel("user", "One user", read_user, span=3, refresh_s=30, fresh_s=15),
        Panel("explained", "Why these movies", read_explained, span=3, refresh_s=0, fresh_s=120),
        Panel("movie", "One movie", read_movie, span=3, refresh_s=30, fresh_s=15),
    ),
)
