"""`movierec provenance`: show the lineage of a recommendation."""

import os
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Final
from urllib.error import HTTPError

import typer

from movierec import settings
from movierec.api_contract import METRICS_PATH, RECOMMENDATION_ID
from movierec.aws.lineage_resolver import LineageResolver
from movierec.cli import context as contexts
from movierec.cli import http_client, progress_display
from movierec.errors import ArtifactError, UnavailableError, UsageError, VersionNotFoundError
from movierec.provenance import report
from movierec.provenance.checks import Check
from movierec.provenance.lineage import Lineage
from movierec.runtime.clock import SystemClock

SHIPPING_LAG: Final = "movierec_proxy_shipping_lag_seconds"
"""The proxy's metric: age of the oldest record that is not in the lake yet, 0 without one."""

# The proxy ships every 5 s, and a commit takes less than 1 s; doubled, as one may have just begun.
_SHIPPED_WITHIN_S: Final = 10.0
_POLL_S: Final = 0.25
_TIMEOUT_S: Final = 5.0


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
        lineage = _lineage(resolver, recommendation, user, at)
        checks = resolver.verify(lineage) if verify else ()
    if here.as_json:
        progress_display.print_json(
            {**report.to_json(lineage), "checks": [asdict(check) for check in checks]}
        )
    else:
        _print_lineage(lineage, checks)
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
        try:
            return resolver.by_id(recommendation)
        except UsageError:
            if not _await_proxy():
                raise
            return resolver.by_id(recommendation)
    if at is None:  # else an earlier answer would be taken for the latest
        _await_proxy()
    moment = at.replace(tzinfo=UTC) if at else SystemClock().now()
    return resolver.by_user(user or 0, moment)


def _await_proxy() -> bool:
    """Wait until the proxy's answers so far are in the lake; return whether they are."""
    url = os.environ.get(settings.PROXY_URL)
    if not url:
        return False
    try:
        return await_shipped(lambda: shipping_lag_s(url), progress_display.print_note)
    except UnavailableError as exc:
        progress_display.print_note(f"the lake may lack the proxy's latest answers: {exc}")
        return False


def await_shipped(
    lag_s: Callable[[], float],
    note: Callable[[str], None],
    *,
    clock_s: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait until all records from before this call are in the lake; return whether they are.

    Under live traffic the backlog itself may never be empty.
    """
    began_s = asked_s = clock_s()
    while (oldest_s := lag_s()) > asked_s - began_s:
        if asked_s == began_s:
            note("waiting for the proxy: its latest answers take some seconds to reach the lake")
        elif asked_s - began_s > _SHIPPED_WITHIN_S:
            note(
                f"the lake still lacks answers of the proxy, the oldest {oldest_s:.0f} s old: "
                "see `movierec status`, and proxy.log among the run's logs"
            )
            return False
        sleep(_POLL_S)
        asked_s = clock_s()
    return True


def shipping_lag_s(proxy_url: str) -> float:
    """Return the age of a proxy's oldest unshipped record. Raises UnavailableError."""
    url = f"{proxy_url}{METRICS_PATH}"
    try:
        with http_client.opened(
            url, timeout_s=_TIMEOUT_S, next_step=UnavailableError.next_step
        ) as answer:
            lines = answer.read().decode("utf-8", "replace").splitlines()
    except HTTPError as exc:
        raise UnavailableError(f"{url}: {exc.code}; {UnavailableError.next_step}") from exc
    for name, _, value in (line.partition(" ") for line in lines):
        if name == SHIPPING_LAG:
            return float(value)
    raise UnavailableError(f"{url} has no {SHIPPING_LAG}: is the proxy another version's?")


def _print_lineage(lineage: Lineage, checks: tuple[Check, ...]) -> None:
    for section in report.render(lineage):
        progress_display.print_line((section.title, "bold"))
        for label, value in section.rows:
            progress_display.print_line(f"  {label:<18} {value}")
    for check in checks:
        remark = check.found if check.gone else check.note
        text = f" {check.name}: {remark}" if remark else f" {check.name}"
        progress_display.print_line(
            progress_display.CHECK if check.ok else progress_display.CROSS, text
        )
