"""`movierec recommend`: ask the proxy for recommendations, as the site does."""

import os
from typing import Annotated
from urllib.error import HTTPError
from urllib.parse import quote

import typer

from movierec import settings
from movierec.api_contract import RECOMMEND_PATH
from movierec.cli import context as contexts
from movierec.cli import http_client, progress_display
from movierec.errors import UnavailableError, UsageError

# The site itself gives up after 800 ms; a person may wait a little longer.
_TIMEOUT_S = 5.0


def recommend(
    context: typer.Context, user: Annotated[str, typer.Argument(help="The user's id.")]
) -> None:
    """Ask for a user's recommendations, as the site does, and show which model answered."""
    here = contexts.of(context)
    here.enter()
    url = (
        f"{settings.require(os.environ, settings.PROXY_URL)}{RECOMMEND_PATH}{quote(user, safe='')}"
    )
    body, headers = _get(url)
    movies = body.strip().split(",")
    if here.as_json:
        progress_display.print_json({"user_id": int(user), "movies": movies, **headers})
        return
    for rank, movie in enumerate(movies, start=1):
        progress_display.print_line(f"{rank:>3} {movie}")
    for name, value in headers.items():
        progress_display.print_line(f"    {name} {value}")


def _get(url: str) -> tuple[str, dict[str, str]]:
    next_step = UnavailableError.next_step
    try:
        with http_client.opened(url, timeout_s=_TIMEOUT_S, next_step=next_step) as answer:
            headers = {
                name.lower().removeprefix("x-").replace("-", "_"): value
                for name, value in answer.headers.items()
                if name.lower().startswith("x-")
            }
            return answer.read().decode(), headers
    except HTTPError as exc:
        message = exc.read().decode("utf-8", "replace").strip()
        kind = UsageError if exc.code < 500 else UnavailableError  # noqa: PLR2004  HTTP's classes
        raise kind(f"{url}: {exc.code} {message}") from exc
