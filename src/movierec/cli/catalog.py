"""`movierec catalog`: load the site's movies and users into the lake."""

import os
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Annotated, Any

import typer

from movierec import settings
from movierec.aws import lake_catalog as catalogs
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.lambda_async_invoker import LambdaAsyncInvoker
from movierec.aws.s3_store import S3Store
from movierec.cli import catalog_sync, exports, progress_display
from movierec.cli import context as contexts
from movierec.errors import UsageError
from movierec.lake.catalog import Loaded, parse_movies, parse_users
from movierec.model import withdrawn
from movierec.runtime.clock import SystemClock
from movierec.site.api_client import SiteClient
from movierec.site.unknown_ids import UnknownIds
from movierec.stack.progress import Progress

app = typer.Typer(help="Movies and users as the site describes them: load an export, or ask.")


@app.command()
def load(
    context: typer.Context,
    *,
    movies: Annotated[str, typer.Option(help="File or URL: a JSON object a line.")] = "",
    users: Annotated[str, typer.Option(help="File or URL: a JSON object a line.")] = "",
) -> None:
    """Load the site's exports."""
    if not movies and not users:
        raise UsageError("nothing to load: name --movies FILE_OR_URL, --users FILE_OR_URL, or both")
    here = contexts.of(context)
    here.enter()
    with progress_display.progress() as progress:
        report = load_exports(progress, movies=movies, users=users)
    _show(here, report)
    if not any(counts["rows"] for counts in report.values()):
        raise UsageError(
            f"nothing was loaded from {' and '.join(filter(None, (movies, users)))}: "
            "name the site's exports, a JSON object a line"
        )


@app.command()
def sync(
    context: typer.Context,
    *,
    site_url: Annotated[
        str, typer.Option("--site", help="The site's API; the run's own if not given.")
    ] = "",
) -> None:
    """Ask the site for every id that is in the lake and not in the catalog.

    Answers are kept as they come; after an interruption, run it again for the rest.
    """
    here = contexts.of(context)
    here.enter()
    url = site_url or settings.require(os.environ, settings.SITE_URL)
    with progress_display.progress() as progress:
        report = ask_for_missing(progress, url)
    _show(here, report)


@app.command()
def withdraw(
    context: typer.Context,
    movie_ids: Annotated[list[str], typer.Argument(help="Ids of titles.", metavar="MOVIE_ID...")],
    *,
    restore: Annotated[
        bool, typer.Option("--restore", help="Allow these titles in lists again.")
    ] = False,
) -> None:
    """Keep titles out of every list, whatever the model; users' lists follow within a minute."""
    here = contexts.of(context)
    here.enter()
    store = S3Store.from_env(os.environ, settings.ARTIFACTS_BUCKET)
    before = withdrawn.load(store)
    if restore and (unknown := sorted(set(movie_ids) - before)):
        raise UsageError(f"{', '.join(unknown)}: not withdrawn; withdrawn are {_ids(before)}")
    after = before - set(movie_ids) if restore else before | set(movie_ids)
    withdrawn.save(store, after)
    refresh = LambdaAsyncInvoker(settings.require(os.environ, settings.REFRESH_FUNCTION))
    refresh.invoke({})
    if here.as_json:
        progress_display.print_json({"withdrawn": sorted(after)})
    else:
        progress_display.print_line(
            f"withdrawn: {_ids(after)}; lists follow with the refresh under way"
        )


def _ids(movie_ids: Collection[str]) -> str:
    return ", ".join(sorted(movie_ids)) or "none"


def load_exports(progress: Progress, *, movies: str, users: str) -> Mapping[str, Any]:
    """Load exports into the lake; return rows and rejected lines by reason, for each table."""
    now = SystemClock().now()
    with progress.step("catalog"):
        loaded_movies = parse_movies(exports.lines(movies), now) if movies else None
        loaded_users = parse_users(exports.lines(users), now) if users else None
        return _store(loaded_movies, loaded_users)


def ask_for_missing(progress: Progress, url: str) -> Mapping[str, Any]:
    """Load what the catalog lacks from the site's API; return counts like `load_exports`."""
    clock = SystemClock()
    client = SiteClient(url, clock)
    unknown = UnknownIds(S3Store.from_env(os.environ, settings.LAKE_BUCKET), client.url)
    with progress.step("asking the site") as step:
        lake = DeltaLake.from_env(os.environ)
        return catalog_sync.run(lake, client, unknown, clock, step.update)


def _store(movies: Loaded | None, users: Loaded | None) -> Mapping[str, Any]:
    found = {"movies": movies, "users": users}
    batches = {name: [rows.columns] if rows and len(rows) else [] for name, rows in found.items()}
    catalogs.store(DeltaLake.from_env(os.environ), batches["movies"], batches["users"])
    return {
        name: {"rows": len(loaded), "rejected": dict(Counter(map(str, loaded.rejected.values())))}
        for name, loaded in found.items()
        if loaded is not None
    }


def _show(here: contexts.Context, report: Mapping[str, Any]) -> None:
    if here.as_json:
        progress_display.print_json(dict(report))
        return
    for name, counts in report.items():
        rejected = ", ".join(f"{n} {reason}" for reason, n in counts["rejected"].items())
        progress_display.print_line(
            f"{name}: {counts['rows']} rows" + (f"; rejected: {rejected}" if rejected else "")
        )
