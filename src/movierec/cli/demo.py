"""`movierec demo`: the whole loop, played once by the product's own commands.

up ─┬─ backfill ─▶ ingest ─▶ first model ─▶ released ─▶ live traffic ──────────────┐
    └─ catalog ───┘                                      └▶ second model ─▶ canary ─▶ summary
"""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any
from urllib.error import HTTPError

import typer

from movierec import settings
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.release_factory import open_releases
from movierec.aws.s3_store import S3Store
from movierec.cli import catalog, demo_report, http_client, progress_display, release, retrain
from movierec.cli import context as contexts
from movierec.cli.demo_summary import Expected, Lake, Summary, summarise
from movierec.errors import DemoError, UnavailableError, UsageError
from movierec.model import artifact, sealed_folder
from movierec.model.offline_metrics import brief
from movierec.releases.by_hand import ByHand
from movierec.stack import loopback_ports, run_record
from movierec.stack.layout import DEFAULT_RUN, DEMO_RUN, Run
from movierec.stack.options import Options
from movierec.stack.processes.client import Client
from movierec.stack.processes.machine_usage import Processors, peak_memory, resident_mb
from movierec.stack.processes.spec import tail
from movierec.stack.progress import Progress
from movierec.stack.services import workers
from movierec.stack.startup import Startup

_POLL_S = 0.2
_TIMEOUT_S = 5.0
_LIVE = "live"
_BACKFILL = "backfill"

# What today's sites have besides.
_EXTRAS = ("--new-accounts=0.02", "--described=0.3", "--license-costs")


@dataclass(frozen=True, slots=True)
class Scenario:
    """Size and rates of a demo."""

    users: int
    movies: int
    seed: int
    days: float
    events: int
    rate: float
    speedup: float
    requests: int
    """Requests to wait for at each of four stages of the release."""
    canary_percent: float
    movielens: Path | None

    def world(self) -> tuple[str, ...]:
        """Return the simulator's arguments that make the same world in each of its processes."""
        if self.movielens is not None:
            return (f"--movielens={self.movielens}", f"--seed={self.seed}", *_EXTRAS)
        return (f"--users={self.users}", f"--movies={self.movies}", f"--seed={self.seed}", *_EXTRAS)


def demo(
    context: typer.Context,
    *,
    once: Annotated[bool, typer.Option(help="End after the summary.")] = False,
    users: Annotated[int, typer.Option(min=1)] = 20_000,
    movies: Annotated[int, typer.Option(min=100)] = 27_278,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    days: Annotated[float, typer.Option(help="Days of history.", min=0.01)] = 7.0,
    events: Annotated[int, typer.Option(help="Events of history, at least.", min=1)] = 1_000_000,
    rate: Annotated[float, typer.Option(help="Requests a second.", min=0.1)] = 20.0,
    speedup: Annotated[
        float, typer.Option(help="Films are watched so many times faster.", min=0.01)
    ] = 600.0,
    requests: Annotated[int, typer.Option(help="Requests at each stage.", min=1)] = 150,
    canary: Annotated[
        float,
        typer.Option(help="First share of requests for the second model, percent.", min=0, max=100),
    ] = 10.0,
    movielens: Annotated[Path | None, typer.Option(help="A MovieLens folder as the site.")] = None,
) -> None:
    """Play the whole loop on this machine and print a summary."""
    here = contexts.of(context)
    scenario = Scenario(
        users, movies, seed, days, events, rate, speedup, requests, canary, movielens
    )
    here = replace(here, run=_fresh(here.run))
    with (
        run_record.exclusive(here.run.create(), "movierec demo"),
        Client(here.run) as client,
        peak_memory(lambda: resident_mb(client.running())) as memory,
    ):
        with progress_display.progress() as progress:
            play = _Play(client, progress, scenario, memory)
            found = play.whole()
        _deliver(here, found)
        if not once:
            play.linger()
    if not found.ok:
        raise DemoError("; ".join(found.problems))


def _fresh(run: Run) -> Run:
    """Return an empty run to play in: the summary counts every line in its lake.

    Raises UsageError when a named run holds data, UnavailableError when it is in use.
    """
    if run.name == DEFAULT_RUN:
        own = run.project.run(DEMO_RUN)
        if own.folder.is_dir():
            with run_record.exclusive(own, "movierec demo"):
                Client(own).stop_all()
                shutil.rmtree(own.folder)
        return own
    if run.record.exists():
        raise UsageError(
            f"run {run.name} holds data, and a demo needs a fresh run: name another, or empty "
            f"this one with `movierec --run {run.name} down --wipe`"
        )
    return run


def _deliver(here: contexts.Context, found: Summary) -> None:
    own = here.run.name == DEMO_RUN
    name = "demo-summary.json" if own else f"demo-summary-{here.run.name}.json"
    path = here.run.project.build / name
    path.parent.mkdir(parents=True, exist_ok=True)
    run_record.write_atomically(path, json.dumps(found.as_json(), indent=2, default=str) + "\n")
    if here.as_json:
        progress_display.print_json(found.as_json())
    else:
        demo_report.show(found)
        progress_display.print_line(f"written to {path}")


class _Play:
    """One demo under way."""

    def __init__(
        self, client: Client, progress: Progress, scenario: Scenario, memory: Mapping[str, float]
    ) -> None:
        self._client = client
        self._run: Run = client.run
        self._progress = progress
        self._scenario = scenario
        self._memory = memory
        self._inherited = dict(os.environ)
        self._ledger_path = self._run.site / "ledger.json"

    def whole(self) -> Summary:
        """Play the demo and return its summary."""
        started_s, processors = time.monotonic(), Processors()
        options = Options(before_ingest=self._load_catalog)
        with Startup(self._client, self._progress, self._inherited, options) as startup:
            self._start_site(startup)
            startup.kafka.result()
            self._backfill(startup)
            startup.ingest.result()
            self._await_lake("ingest")
            startup.retrain.result()
            first = self._train("first model")
            startup.proxy.result()
            self._release(first, None)
            self._go_live(startup)
            second = self._train("second model")
            self._second_release(second)
            self._stop_live()
            startup.wait()
        lake = self._settled_lake()
        return summarise(
            self._ledger(),
            lake,
            Expected(self._scenario.events, (first, second)),
            models=[_model(version) for version in (first, second)],
            phases_s=self._progress.seconds,
            total_s=time.monotonic() - started_s,
            peak_rss_mb=dict(self._memory),
            stolen_percent=processors.stolen_percent(),
        )

    def linger(self) -> None:
        """Keep everything running, with live traffic, until Ctrl-C."""
        self._client.start(self._live_spec(dict(os.environ)))
        where = settings.require(os.environ, settings.PROXY_URL)
        progress_display.print_note(
            f"running: the site asks {where} for recommendations; Ctrl-C stops it all"
        )
        progress_display.print_note(
            f"try: movierec --run {self._run.name} console, for web pages (or recommend 42, status)"
        )
        signal.sigwait({signal.SIGINT, signal.SIGTERM})

    def _world(self) -> tuple[str, ...]:
        """Return the arguments that make the same site in each of the simulator's processes."""
        return (*self._scenario.world(), f"--site-state={self._run.site / 'growth.json'}")

    # Phases -----------------------------------------------------------------------------

    def _start_site(self, startup: Startup) -> None:
        loopback_ports.require_free(self._run, loopback_ports.SITE)
        with self._progress.step("site"):
            spec = workers.site(self._run, self._world(), self._env(startup.variables))
            self._client.start(spec)

    def _load_catalog(self) -> None:
        port = loopback_ports.port(self._run, loopback_ports.SITE)
        site = f"http://{loopback_ports.HOST}:{port}"
        catalog.load_exports(
            self._progress, movies=f"{site}/movies.jsonl", users=f"{site}/users.jsonl"
        )

    def _backfill(self, startup: Startup) -> None:
        arguments = (
            *self._world(),
            f"--backfill={self._scenario.days}",
            f"--events={self._scenario.events}",
            f"--ledger={self._ledger_path}",
        )
        spec = workers.simulator(self._run, _BACKFILL, arguments, self._env(startup.variables))
        with self._progress.step("backfill") as step:
            code = self._client.call(
                spec,
                meanwhile=lambda: step.update(
                    self._ledger()["lines"]["total"], self._scenario.events
                ),
            )
        if code != 0:
            log = self._run.log(_BACKFILL)
            raise UnavailableError(f"backfill: exit code {code}; its log ends:\n{tail(log)}")

    def _train(self, name: str) -> str:
        with self._progress.step(name):
            trained = retrain.run(self._progress, {})
        return str(trained["model_version"])

    def _release(self, model: str, canary_percent: float | None) -> None:
        with self._progress.step("release"):
            release.release(open_releases(), model, canary_percent, "demo")

    def _go_live(self, startup: Startup) -> None:
        # Without a popular list the proxy has no fallback, and answers 503 when the API is late.
        self._await("popular list", _popular_lists, 1, within_s=60)
        self._client.start(self._live_spec(startup.variables))
        self._await_requests("live traffic", self._scenario.requests)

    def _second_release(self, model: str) -> None:
        self._release(model, self._scenario.canary_percent)
        self._await_requests("canary", self._scenario.requests)
        ByHand(open_releases()).set_weights(50, "demo")
        self._await_requests("canary at 50%", self._scenario.requests)
        ByHand(open_releases()).promote("demo")
        self._await_requests("promoted", self._scenario.requests)

    def _stop_live(self) -> None:
        with self._progress.step("site stops"):
            self._client.stop(_LIVE)

    def _live_spec(self, variables: Mapping[str, str]) -> Any:  # noqa: ANN401
        arguments = (
            *self._world(),
            "--no-site",
            "--even",
            f"--rate={self._scenario.rate}",
            f"--speedup={self._scenario.speedup}",
            f"--ledger={self._ledger_path}",
            "--continue-ledger",
        )
        return workers.simulator(self._run, _LIVE, arguments, self._env(variables))

    def _env(self, variables: Mapping[str, str]) -> Mapping[str, str]:
        return workers.environment(self._run, variables, self._inherited)

    # What has arrived -------------------------------------------------------------------

    def _ledger(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._ledger_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"lines": {"total": 0}, "requests": {"total": 0}, "offsets": {}}
        return found

    def _await_requests(self, name: str, more: int) -> None:
        before = int(self._ledger()["requests"]["total"])

        def done() -> int:
            return int(self._ledger()["requests"]["total"]) - before

        self._await(name, done, more, within_s=60 + 5 * more / self._scenario.rate)

    def _await_lake(self, name: str) -> None:
        """Wait until the lake's transactions have reached the last offset that was produced."""
        lake = DeltaLake.from_env(os.environ)
        topic = settings.require(os.environ, settings.TOPIC)
        produced = {p: o["next"] for p, o in self._ledger()["offsets"].items()}

        def stored() -> int:
            last = [lake.transaction("events", f"{topic}-{p}") for p in produced]
            return sum(offset + 1 for offset in last if offset is not None)

        self._await(name, stored, sum(produced.values()), within_s=300)

    def _settled_lake(self) -> Lake:
        self._await_lake("last events")
        lake = DeltaLake.from_env(os.environ)
        answered = int(self._ledger()["requests"]["by_status"].get("200", 0))

        def served() -> int:
            return lake.count("served").get("", 0)

        self._await("served records", served, answered, within_s=60)
        return Lake(
            lake.count("events", by="kind"), lake.count("quarantine", by="reason"), served()
        )

    def _await(self, name: str, done: Callable[[], int], total: int, *, within_s: float) -> None:
        deadline_s = time.monotonic() + within_s
        with self._progress.step(name) as step:
            while (now := done()) < total:
                step.update(now, total)
                if time.monotonic() > deadline_s:
                    raise UnavailableError(
                        f"{name}: {now} of {total} after {within_s:g} s; "
                        f"see the logs in {self._run.logs}"
                    )
                time.sleep(_POLL_S)


def _popular_lists() -> int:
    """Return the number of popular lists in the proxy's cache: one or none."""
    url = f"{settings.require(os.environ, settings.PROXY_URL)}/healthz"
    next_step = UnavailableError.next_step
    try:
        with http_client.opened(url, timeout_s=_TIMEOUT_S, next_step=next_step) as answer:
            return int(json.load(answer)["popular_list"] is not None)
    except HTTPError:  # it is not well
        return 0


def _model(version: str) -> dict[str, Any]:
    """Return the summary of a model from its manifest."""
    store = S3Store.from_env(os.environ, settings.ARTIFACTS_BUCKET)
    manifest = sealed_folder.open_manifest(
        store.get(artifact.key(version, sealed_folder.MANIFEST_FILE))
    )
    return {"version": version, **manifest["counts"], "metrics": brief(manifest["metrics"])}
