"""`movierec release`: who gets which version of the API."""

import os
from dataclasses import asdict
from typing import Annotated

import typer

from movierec import artifact, settings
from movierec.aws.gateway import Gateway
from movierec.aws.releases import Releases
from movierec.cli import context as contexts
from movierec.cli import display, words
from movierec.errors import ReleaseError
from movierec.rollout import Routing

app = typer.Typer(help="Release models: cut a version, weigh a canary, promote it, roll it back.")

_Reason = Annotated[str, typer.Option(help="Why; it is written down with the step.")]


@app.command()
def cut(
    context: typer.Context,
    *,
    model: Annotated[str, typer.Option(help="Model version; the newest one if not given.")] = "",
    canary: Annotated[
        float | None,
        typer.Option(
            help="Percent of users that get it first; everybody if not given.", min=0, max=100
        ),
    ] = None,
    reason: _Reason = "",
) -> None:
    """Publish the API's code with a model as a new version, test it, and send users to it."""
    here = contexts.of(context)
    releases = _open(here)
    with display.progress() as progress, progress.step("release"):
        before = releases.describe()
        after = release(releases, model, canary, reason)
    if canary is not None and before is not None and after.canary is None:
        raise ReleaseError(
            f"version {after.stable} serves that model to everybody already: "
            "train another with `movierec retrain`, or name one with --model"
        )
    _show(here, releases, after)


@app.command()
def weights(
    context: typer.Context,
    *,
    canary: Annotated[
        float, typer.Option(help="Percent of users that get the canary.", min=0, max=100)
    ],
    reason: _Reason = "",
) -> None:
    """Send another share of users to the canary."""
    here = contexts.of(context)
    releases = _open(here)
    _show(here, releases, releases.set_weights(canary, reason))


@app.command()
def promote(context: typer.Context, *, reason: _Reason = "") -> None:
    """Make the canary stable, for everybody."""
    here = contexts.of(context)
    releases = _open(here)
    _show(here, releases, releases.promote(reason))


@app.command()
def rollback(context: typer.Context, *, reason: _Reason = "") -> None:
    """Send everybody back to the stable version."""
    here = contexts.of(context)
    releases = _open(here)
    _show(here, releases, releases.rollback(reason))


@app.command()
def show(context: typer.Context) -> None:
    """Show who gets which version."""
    here = contexts.of(context)
    releases = _open(here)
    found = releases.describe()
    if found is None:
        raise ReleaseError("nothing is released: train with `movierec retrain`, then `release cut`")
    _show(here, releases, found)


def release(releases: Releases, model: str, canary: float | None, reason: str) -> Routing:
    """Cut a version with a model, the newest if it is not named, and serve it on stage `live`."""
    version = model or artifact.newest(releases.store)
    released = releases.cut(version, reason, canary_percent=canary)
    Gateway().ensure_live_stage(settings.require(os.environ, settings.REST_API))
    return released.routing


def _open(here: contexts.Context) -> Releases:
    here.enter()
    return Releases.from_env(os.environ, settings.require(os.environ, settings.API_FUNCTION))


def _show(here: contexts.Context, releases: Releases, routing: Routing) -> None:
    found = {**asdict(routing), "models": releases.models(routing)}
    if here.as_json:
        display.say_json(found)
        return
    for line in words.routing(found):
        display.say(line)
