"""`movierec explain`: show what a user's list was made from, and what pulled each movie."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer

from movierec import settings
from movierec.aws import lake_catalog, list_facts
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.s3_store import S3Store
from movierec.cli import context as contexts
from movierec.cli import progress_display
from movierec.model import artifact
from movierec.model.explanation import Explained, Explanation
from movierec.taste import served_list


def explain(
    context: typer.Context,
    user: Annotated[int, typer.Argument(help="The user's id.", min=1)],
    *,
    model: Annotated[str, typer.Option(help="A model's version; the newest if not given.")] = "",
) -> None:
    """Show what a user's list was made from, and which titles and words pulled each movie."""
    here = contexts.of(context)
    here.enter()
    store = S3Store.from_env(os.environ, settings.ARTIFACTS_BUCKET)
    lake = DeltaLake.from_env(os.environ)
    found = served_list.explain(
        store, model or artifact.newest(store), user, list_facts.read(lake, user)
    )
    titles = lake_catalog.titles(lake, _movies(found))
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
    if found.refresh:
        head += f", refresh {found.refresh}"
    why = _WHY[found.made_from].format(user=found.user_id)
    if found.made_from == "model" and not found.liked:
        why = f"user {found.user_id} liked nothing yet: the popular list of the user's group"
    head += f"; {why}"
    rows = [_line(rank, each, titles) for rank, each in enumerate(found.movies, start=1)]
    return [head, *rows]


def _line(rank: int, each: Explained, titles: Mapping[str, str]) -> str:
    def name(movie_id: str) -> str:
        return titles.get(movie_id) or movie_id

    pulls = [(name(pull.movie_id), pull.share) for pull in each.pulls]
    pulls += [(f'"{word.text}"', word.share) for word in each.words]
    pulls.sort(key=lambda one: -one[1])
    shown = ", ".join(f"{what} {share:.0%}" for what, share in pulls)
    new = " (new)" if each.new else ""
    because = f" because of {shown}" if shown else ""
    return f"{rank:>3} {name(each.movie_id)}{new}{because}"


_WHY: Final[Mapping[str, str]] = {
    "model": "user {user} has the list of the training",
    "fold_in": "the list of user {user} was made anew from newer events",
    "description": "the list of user {user} was made from what the user wrote",
    "group": "user {user} liked nothing yet: the popular list of the user's group",
    served_list.FALLBACK: "user {user} is not known: the popular list of the user's group",
}
