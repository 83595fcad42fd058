"""Format a demo's summary as tables."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from movierec.cli.demo_summary import Summary
from movierec.cli.progress_display import STDOUT


def show(found: Summary) -> None:
    """Print a summary's tables and its verdict."""
    STDOUT.print(_events(found))
    STDOUT.print(_counts("quarantined, by reason", found.quarantined))
    STDOUT.print(_models(found))
    STDOUT.print(_requests(found))
    STDOUT.print(_counts("where the time went, s (steps overlap)", found.phases_s))
    STDOUT.print(_counts("peak resident memory, MB", found.peak_rss_mb))
    if found.ok:
        STDOUT.print(f"[green]all is well[/], in {found.total_s:.0f} s")
    for slow in found.slow:
        STDOUT.print(f"[yellow]slow:[/] {slow}", markup=True)
    for problem in found.problems:
        STDOUT.print(f"[red]wrong:[/] {problem}", markup=True)


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2))
    table.add_column(headings[0])
    for heading in headings[1:]:
        table.add_column(heading, justify="right")
    return table


def _counts(title: str, counts: Mapping[str, Any]) -> Table:
    table = _table(title, "", "")
    for name, count in counts.items():
        table.add_row(name, f"{count:,}")
    return table


def _events(found: Summary) -> Table:
    table = _table("events", "kind", "site wrote", "lake holds")
    produced, lake = found.events["produced"], found.events["lake"]
    for kind in sorted(produced):
        table.add_row(kind, f"{produced[kind]:,}", f"{lake.get(kind, 0):,}")
    return table


def _models(found: Summary) -> Table:
    table = _table("models", "", *(str(model["version"]) for model in found.models))
    for name in ("users", "movies", "interactions"):
        table.add_row(name, *(f"{model[name]:,}" for model in found.models))
    for name in _scalars(found.models):
        table.add_row(name, *(_number(model["metrics"].get(name)) for model in found.models))
    return table


def _scalars(models: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(
        dict.fromkeys(
            name
            for model in models
            for name, value in model["metrics"].items()
            if isinstance(value, int | float)
        )
    )


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _requests(found: Summary) -> Table:
    table = _table("requests", "", "")
    table.add_row("total", f"{found.requests['total']:,}")
    for name in ("by_model_version", "by_source", "by_status"):
        for value, count in found.requests[name].items():
            table.add_row(f"{name.removeprefix('by_').replace('_', ' ')} {value}", f"{count:,}")
    table.add_row("availability", f"{found.availability:.2%}")
    for name, value in found.latency_ms.items():
        table.add_row(f"{name} ms", f"{value:.1f}")
    return table
