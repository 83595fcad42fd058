"""`movierec explain`: show which watched titles pulled each movie of a user's list."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from movierec import settings
from movierec.aws import lake_catalog
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.s3_store import S3Store
from movierec.cli import context as contexts
from movierec.cli import progress_display
from movierec.model import artifact, explanation
from movierec.model.explanation import Explained, Explanation


def explain(
    context: typer.Context,
    user: Annotated[int, typer.Argument(help="The user's id.", min=1)],
    *,
    model: Annotated[str, typer.Option(help="A model's version; the newest if not given.")] = "",
) -> None:
    """Show which watched titles pulled each movie of a user's list, and by how much."""
    here = contexts.of(context)
    here.enter()
    store = S3Store.from_env(os.environ, settings.ARTIFACTS_BUCKET)
    found = explanation.explain(store, model or artifact.newest(store), user)
    titles = lake_catalog.titles(DeltaLake.from_env(os.environ), _movies(found))
    if here.as_json:
        progress_display.print_json(to_json(found, titles))
        return
    for line in lines(found, titles):
        progress_display.print_line(line)


def _movies(found: Explanation) -> list[str]:
    pulling = (pull.movie_id for each in found.movies for pull in each.pulls)
    return sorted({each.movie_id for each in found.movies} | set(pulling))


def to_json(found: Explanation, titles: Mapping[str, str]) -> dict[str, Any]:
    """Return the explanation with titles, None where the catalog has none."""
    plain = asdict(found)
    for each in plain["movies"]:
        for named in (each, *each["pulls"]):
            named["title"] = titles.get(named["movie_id"])
    return plain


def lines(found: Explanation, titles: Mapping[str, str]) -> list[str]:
    """Return the explanation as text, a line for each movie of the list."""
    head = f"model {found.model_version}, lists from {found.lists_from}"
    if not found.liked:
        head += f"; user {found.user_id} liked nothing yet: the popular list of the user's group"
    rows = [_line(rank, each, titles) for rank, each in enumerate(found.movies, start=1)]
    return [head, *rows]


def _line(rank: int, each: Explained, titles: Mapping[str, str]) -> str:
    def name(movie_id: str) -> str:
        return titles.get(movie_id) or movie_id

    pulls = ", ".join(f"{name(pull.movie_id)} {pull.share:.0%}" for pull in each.pulls)
    because = f" because of {pulls}" if pulls else ""
    return f"{rank:>3} {name(each.movie_id)}{because}"
