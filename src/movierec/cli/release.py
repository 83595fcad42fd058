"""`movierec release`: start, watch and control releases, and shift traffic by hand."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer

from movierec import settings
from movierec.aws import release_executions
from movierec.aws.api_gateway import Gateway
from movierec.aws.release_factory import open_releases
from movierec.cli import context as contexts
from movierec.cli import progress_display, release_execution, release_format, status_format
from movierec.errors import MovierecError, ReleaseError, UsageError
from movierec.model import artifact
from movierec.releases import evaluation, log, state_machine
from movierec.releases.by_hand import ByHand
from movierec.releases.evaluation import Evaluation
from movierec.releases.policy import Policy
from movierec.releases.registry import Releases
from movierec.releases.request import Request
from movierec.releases.rollback import close, roll_back
from movierec.releases.state_machine import ReleaseState
from movierec.releases.traffic_split import TrafficSplit
from movierec.reports.release_report import publish_page

app = typer.Typer(
    help="Release models and code: through a canary by themselves, or step by step by hand."
)

_Reason = Annotated[str, typer.Option(help="Why; stored with the step.")]
_Which = Annotated[str | None, typer.Argument(help="The release; the one under way if not given.")]


# Through the state machine --------------------------------------------------------------------


@app.command()
def start(
    context: typer.Context,
    *,
    model: Annotated[str, typer.Option(help="Model version; the newest one if not given.")] = "",
    code: Annotated[
        bool, typer.Option("--code", help="Release the code as it is deployed, no other model.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Even though it was rolled back before.")
    ] = False,
    allow_truncated: Annotated[
        bool,
        typer.Option("--allow-truncated", help="Even though its training was cut short."),
    ] = False,
    watch: Annotated[bool, typer.Option(help="Follow it until it ends.")] = True,
    on_busy: Annotated[
        Literal["wait", "replace"] | None,
        typer.Option(help="While another release is under way: wait for its end, or roll it back."),
    ] = None,
) -> None:
    """Release a model through gate, smoke test and canary; promoted or rolled back by itself."""
    if model and code:
        raise UsageError("--model and --code: new code goes with the model that is stable")
    here = contexts.of(context)
    releases = _open(here)
    release_id = log.release_id(releases.clock.now())
    policy = {"on_busy": on_busy} if on_busy else {}
    request = Request(model, code, again, allow_truncated).to_json()
    release_executions.begin(
        release_id, {"release_id": release_id, "request": request, "policy": policy}
    )
    if watch:
        _follow(here, releases, release_id)
    elif here.as_json:
        progress_display.print_json({"release_id": release_id})
    else:
        progress_display.print_line(
            f"release {release_id}: see `movierec release watch {release_id}`"
        )


@app.command()
def watch(context: typer.Context, release: _Which = None) -> None:
    """Follow a release until it ends."""
    here = contexts.of(context)
    releases = _open(here)
    _follow(here, releases, release or _open_release(releases))


@app.command("list")
def list_all(context: typer.Context) -> None:
    """List all releases, newest first."""
    here = contexts.of(context)
    releases = _open(here)
    names = reversed(releases.log.releases())
    found = [release_format.summary(releases.state_of(name)) for name in names]
    if here.as_json:
        progress_display.print_json(found)
        return
    for facts in found:
        progress_display.print_line(release_format.headline(facts))


@app.command()
def show(context: typer.Context, release: _Which = None) -> None:
    """Show a release's steps; without one, which versions answer, and what is being released."""
    here = contexts.of(context)
    releases = _open(here)
    if release is not None:
        _show_release(here, releases, release)
        return
    found = releases.split()
    if found is None:
        raise ReleaseError("nothing is released: train with `movierec retrain`, then `release cut`")
    _show(here, releases, found, with_open=True)


@app.command()
def pause(context: typer.Context, release: _Which = None, *, reason: _Reason = "") -> None:
    """Have a release wait where it is; alarms and a bad verdict still roll it back."""
    here = contexts.of(context)
    releases = _open(here)
    _print_state(here, ByHand(releases).pause(release or _open_release(releases), reason))


@app.command()
def resume(context: typer.Context, release: _Which = None, *, reason: _Reason = "") -> None:
    """Have a release go on: one that was paused, or one whose state machine has stopped."""
    here = contexts.of(context)
    releases = _open(here)
    found = ByHand(releases).resume(release or _open_release(releases), reason)
    if release_executions.restart_execution(found.release_id):
        progress_display.print_note(
            f"release {found.release_id}: its state machine had stopped, and runs again"
        )
    _print_state(here, found)


@app.command()
def replay(
    context: typer.Context, release: Annotated[str, typer.Argument(help="The release.")]
) -> None:
    """Recompute a release's decisions from its log, and compare."""
    here = contexts.of(context)
    releases = _open(here)

    def again(values: Mapping[str, Any], policy: Policy) -> Evaluation:
        found = Evaluation.from_json(values)
        if found.trials_key is None:
            return found
        return evaluation.replay(found, releases.store.get(found.trials_key), policy)

    found = state_machine.replay(releases.log.steps(release), again)
    if here.as_json:
        progress_display.print_json([release_format.replayed_json(each) for each in found])
    else:
        for each in found:
            mark = progress_display.CHECK if each.ok else progress_display.CROSS
            progress_display.print_line(mark, f" {release_format.replayed(each)}")
    differing = sum(not each.ok for each in found)
    if differing:
        raise ReleaseError(f"release {release}: {differing} of {len(found)} decisions differ")


# By hand --------------------------------------------------------------------------------------


@app.command()
def cut(
    context: typer.Context,
    *,
    model: Annotated[str, typer.Option(help="Model version; the newest one if not given.")] = "",
    canary: Annotated[
        float | None,
        typer.Option(
            help="Percent of requests that it answers first; all if not given.", min=0, max=100
        ),
    ] = None,
    reason: _Reason = "",
) -> None:
    """Publish the API's code with a model as a new version, test it, and send requests to it."""
    here = contexts.of(context)
    releases = _open(here)
    with progress_display.progress() as progress, progress.step("release"):
        before = releases.split()
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
        float, typer.Option(help="Percent of requests that the canary answers.", min=0, max=100)
    ],
    reason: _Reason = "",
) -> None:
    """Send another share of requests to the canary."""
    here = contexts.of(context)
    releases = _open(here)
    _show(here, releases, ByHand(releases).set_weights(canary, reason))


@app.command()
def promote(context: typer.Context, *, reason: _Reason = "") -> None:
    """Make the canary stable: it answers every request."""
    here = contexts.of(context)
    releases = _open(here)
    _show(here, releases, ByHand(releases).promote(reason))
    _publish_end(releases)


@app.command()
def rollback(
    context: typer.Context,
    *,
    to: Annotated[
        str | None, typer.Option(help="An earlier version, instead of the stable one.")
    ] = None,
    reason: _Reason = "",
) -> None:
    """Send all requests back to the stable version, or to an earlier one."""
    here = contexts.of(context)
    releases = _open(here)
    _show(here, releases, _rolled_back(releases, to, reason))
    _publish_end(releases)


def release(releases: Releases, model: str, canary: float | None, reason: str) -> TrafficSplit:
    """Cut a version with a model, the newest if it is not named, and serve it on stage `live`."""
    version = model or artifact.newest(releases.store)
    _, after = ByHand(releases).release_now(version, reason, canary_percent=canary)
    _serve_live()
    return after


# Parts ----------------------------------------------------------------------------------------


def _open(here: contexts.Context) -> Releases:
    here.enter()
    return open_releases(os.environ)


def _serve_live() -> None:
    Gateway().ensure_live_stage(settings.require(os.environ, settings.REST_API))


def _rolled_back(releases: Releases, to: str | None, reason: str) -> TrafficSplit:
    """Roll back; succeed once all requests are back, even if the log cannot be written."""
    try:
        return roll_back(releases, reason, to=to)
    except MovierecError as exc:
        found = releases.split()
        if found is None or found.canary or found.stable != (to or found.stable):
            raise
        progress_display.print_note(f"rolled back, but not logged: {exc}")
        return found


def _publish_end(releases: Releases) -> None:
    """Close a release and publish its page; a failure is a note, since the traffic is right."""
    alias = releases.function.alias()
    if alias is None or alias.release_id is None:
        return
    try:
        close(releases, alias.release_id)
        publish_page(releases.log, alias.release_id)
    except MovierecError as exc:
        progress_display.print_note(f"nobody has been notified yet: {exc}")


def _open_release(releases: Releases) -> str:
    """Return the release with the active canary, or else the newest that has not ended."""
    alias, waiting = releases.function.alias(), releases.log.open_releases()
    if alias and alias.split.canary and alias.release_id:
        return alias.release_id
    if not waiting:
        raise ReleaseError("nothing is being released: see `movierec release list`, or name one")
    return waiting[-1]


def _follow(here: contexts.Context, releases: Releases, release_id: str) -> None:
    with progress_display.ticker() as ticker:
        found = release_execution.follow(
            releases,
            release_id,
            running=lambda: release_executions.has_running_execution(release_id),
            ticker=ticker,
        )
    if found.state == "promoted":
        # Creates the stage at the first release; later it exists, and nothing is done.
        _serve_live()
    _print_state(here, found)
    if found.state != "promoted":
        raise ReleaseError(f"release {release_id} was {found.state}: {found.reason}")


def _print_state(here: contexts.Context, found: ReleaseState) -> None:
    facts = release_format.summary(found)
    if here.as_json:
        progress_display.print_json(facts)
    else:
        progress_display.print_line(release_format.headline(facts))


def _show_release(here: contexts.Context, releases: Releases, release_id: str) -> None:
    steps = (*releases.log.steps(release_id, holds=False), releases.log.last(release_id))
    facts = release_format.summary(state_machine.state_of(steps))
    counted = release_format.latest_evaluation(steps)
    link = releases.link(log.page_key(release_id))
    if here.as_json:
        written = [asdict(step) for step in steps[:-1]]
        progress_display.print_json(
            {**facts, "steps": written, "evaluation": counted, "page": link}
        )
        return
    progress_display.print_line((release_format.headline(facts), "bold"))
    for step in steps[:-1]:
        progress_display.print_line(release_format.timeline(step))
    progress_display.print_line(evaluation.sentence(counted))
    progress_display.print_line(link)


def _show(
    here: contexts.Context, releases: Releases, split: TrafficSplit, *, with_open: bool = False
) -> None:
    found = {**asdict(split), "models": releases.models(split)}
    waiting = releases.log.open_releases() if with_open else ()
    unfinished = [release_format.summary(releases.state_of(name)) for name in waiting]
    if here.as_json:
        progress_display.print_json({**found, "open": unfinished} if with_open else found)
        return
    for line in (*status_format.split(found), *map(release_format.headline, unfinished)):
        progress_display.print_line(line)
