"""`movierec recommend` and `movierec provenance`: one answer, and where it came from."""

import os
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated
from urllib.error import HTTPError
from urllib.parse import quote

import typer

from movierec import settings
from movierec.api_contract import RECOMMEND_PATH, RECOMMENDATION_ID
from movierec.aws.lineage_resolver import LineageResolver
from movierec.cli import context as contexts
from movierec.cli import http_client, progress_display
from movierec.errors import ArtifactError, UnavailableError, UsageError, VersionNotFoundError
from movierec.provenance import report
from movierec.provenance.checks import Check
from movierec.provenance.lineage import Lineage
from movierec.runtime.clock import SystemClock

# The site itself gives up after 800 ms; a person may wait a little longer.
_TIMEOUT_S = 5.0


def recommend(
    context: typer.Context, user: Annotated[str, typer.Argument(help="The user's id.")]
) -> None:
    """Ask for a user's recommendations, as the site does, and show who answered."""
    here = contexts.of(context)
    here.enter()
    proxy = settings.require(os.environ, settings.PROXY_URL)
    url = f"{proxy}{RECOMMEND_PATH}{quote(user, safe='')}"
    body, headers = _get(url)
    movies = body.strip().split(",")
    if here.as_json:
        progress_display.say_json({"user_id": int(user), "movies": movies, **headers})
        return
    for rank, movie in enumerate(movies, start=1):
        progress_display.say(f"{rank:>3} {movie}")
    for name, value in headers.items():
        progress_display.say(f"    {name} {value}")


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
        said = exc.read().decode("utf-8", "replace").strip()
        kind = UsageError if exc.code < 500 else UnavailableError  # noqa: PLR2004  HTTP's classes
        raise kind(f"{url}: {exc.code} {said}") from exc


def provenance(
    context: typer.Context,
    recommendation: Annotated[
        str | None, typer.Argument(help=f"The recommendation's id (header {RECOMMENDATION_ID}).")
    ] = None,
    *,
    user: Annotated[int | None, typer.Option(help="Or: the user,", min=1)] = None,
    at: Annotated[
        datetime | None, typer.Option(help="and about when, UTC; now if not given.")
    ] = None,
    verify: Annotated[bool, typer.Option(help="Read the data again and check every sum.")] = False,
) -> None:
    """Show what a recommendation came from: model, code, dataset, lake versions, Kafka offsets."""
    here = contexts.of(context)
    here.enter()
    resolver = LineageResolver.from_env(
        os.environ, settings.require(os.environ, settings.API_FUNCTION)
    )
    with progress_display.progress() as progress, progress.step("tracing"):
        chain = _lineage(resolver, recommendation, user, at)
        checks = resolver.verify(chain) if verify else ()
    if here.as_json:
        progress_display.say_json(
            {**report.to_json(chain), "checks": [asdict(check) for check in checks]}
        )
    else:
        _print_chain(chain, checks)
    broken = [check.name for check in checks if not check.ok and not check.gone]
    if broken:
        raise ArtifactError(f"does not hold: {'; '.join(broken)}")
    gone = [check.found for check in checks if check.gone]
    if gone:
        raise VersionNotFoundError(f"cannot be checked any more: {'; '.join(gone)}")


def _lineage(
    resolver: LineageResolver, recommendation: str | None, user: int | None, at: datetime | None
) -> Lineage:
    if (recommendation is None) == (user is None):
        raise UsageError("name one recommendation: its id, or --user USER [--at TIME]")
    if recommendation is not None:
        return resolver.by_id(recommendation)
    moment = at.replace(tzinfo=UTC) if at else SystemClock().now()
    return resolver.by_user(user or 0, moment)


def _print_chain(chain: Lineage, checks: tuple[Check, ...]) -> None:
    for section in report.render(chain):
        progress_display.say((section.title, "bold"))
        for label, value in section.rows:
            progress_display.say(f"  {label:<18} {value}")
    for check in checks:
        said = f" {check.name}: {check.found}" if check.gone else f" {check.name}"
        progress_display.say(progress_display.CHECK if check.ok else progress_display.CROSS, said)
