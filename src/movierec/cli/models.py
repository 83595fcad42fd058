"""`movierec models`: the trained models, their gate's verdicts, and two of them compared."""

import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from movierec import settings
from movierec.aws.s3_store import S3Store
from movierec.cli import context as contexts
from movierec.cli import progress_display
from movierec.model import model_versions
from movierec.releases import model_list
from movierec.releases.log import ReleaseLog
from movierec.reports import html
from movierec.runtime.clock import SystemClock

app = typer.Typer(help="Trained models: what they are worth, and which were released.")

_Version = Annotated[str, typer.Argument(help="Model version, as `movierec models list` shows it.")]


@app.command("list")
def show(context: typer.Context) -> None:
    """List the models, newest first: time, users, NDCG, the gate's verdict, released or not."""
    here = contexts.of(context)
    here.enter()
    store = S3Store.from_env(os.environ, settings.ARTIFACTS_BUCKET)
    found = model_list.listed(store, ReleaseLog(store, SystemClock()))
    if here.as_json:
        progress_display.print_json({"models": found})
        return
    for facts in found:
        progress_display.print_line(line(facts))
    if not found:
        progress_display.print_line("no model yet: train one with `movierec retrain`")


@app.command()
def compare(context: typer.Context, one: _Version, other: _Version) -> None:
    """Compare two models by accuracy, cost of training, cost of lists, and size."""
    here = contexts.of(context)
    here.enter()
    store = S3Store.from_env(os.environ, settings.ARTIFACTS_BUCKET)
    found = model_versions.compared(
        *(model_versions.manifest(store, version) for version in (one, other))
    )
    if here.as_json:
        progress_display.print_json(found)
        return
    for text in lines(found):
        progress_display.print_line(text)


def line(facts: Mapping[str, Any]) -> str:
    """Return a model on one line."""
    ndcg = "-" if facts["ndcg"] is None else f"{facts['ndcg']:.4f}"
    users = "-" if facts["users"] is None else f"{facts['users']:,}"
    gate = f"gate {facts['gate']}" if facts["gate"] else "not judged"
    released = f"released by {facts['promoted_by']}" if facts["released"] else "not released"
    cut = ", training cut short" if facts["truncated"] else ""
    faults = "".join(f"\n    {fault}" for fault in facts["gate_faults"])
    return f"{facts['model_version']}  {users} users, NDCG {ndcg}{cut}, {gate}, {released}{faults}"


def lines(found: Mapping[str, Any]) -> Sequence[str]:
    """Return a comparison as lines of text."""
    heads = [f"{'':<22}{found['models'][0]:>42}{found['models'][1]:>42}"]
    rows = [
        f"{_named(measure):<22}" + "".join(f"{html.show(v):>42}" for v in measure["values"])
        for measure in found["measures"]
    ]
    differences = [
        f"{name.upper()} of the second minus the first: {d['mean']:+.4f}"
        f" ({d['low']:+.4f} to {d['high']:+.4f}), {d['users']:,} users"
        for name, d in (found["difference"] or {}).items()
    ]
    return [*heads, *rows, *differences, found["note"]]


def _named(measure: Mapping[str, Any]) -> str:
    unit = f", {measure['unit']}" if measure["unit"] else ""
    return f"{measure['name'].replace('_', ' ')}{unit}"
