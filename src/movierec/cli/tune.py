"""`movierec tune`: search for training parameters on a data set, within a budget."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from movierec.cli import context as contexts
from movierec.cli import progress_display, project_process
from movierec.stack.progress import Step

_MODULE = "functions.train_als.tuner"


def tune(
    context: typer.Context,
    dataset: Annotated[
        str, typer.Argument(metavar="[DATASET_ID]", help="That of the newest model if not given.")
    ] = "",
    *,
    trials: Annotated[int, typer.Option("--budget-trials", help="Most trials in all.")] = 30,
    minutes: Annotated[float, typer.Option("--budget-minutes", help="Most time in all.")] = 60.0,
    memory_mb: Annotated[
        int, typer.Option(help="Memory of the Lambda that is to train with what is found.")
    ] = 4096,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the data set's newest search.")
    ] = False,
) -> None:
    """Search for the best training parameters of a data set, never on its test part.

    Each trial is kept when it ends (tuning/ in the artifacts bucket): after a kill, --resume goes
    on. `movierec retrain --tuned` trains with the result of the newest search.
    """
    here = contexts.of(context)
    here.enter()
    arguments = [f"--dataset={dataset}", f"--trials={trials}", f"--minutes={minutes}"]
    arguments += [f"--memory-mb={memory_mb}", *(["--resume"] if resume else [])]
    report = project_process.execute(here.run.project, _MODULE, arguments, "tune", _show)
    if here.as_json:
        progress_display.print_json(dict(report))
        return
    for line in lines(report):
        progress_display.print_line(line)


def _show(step: Step, done: Mapping[str, Any]) -> None:
    note = (
        f"{done['iterations']} iterations: {done['score']:.4f}, best {done['best']:.4f},"
        f" trial {done['trial']} of {done['of']}"
    )
    step.update(done["trial"] - 1, done["of"], note)


def lines(report: Mapping[str, Any]) -> list[str]:
    """Return what people read of a search's report."""
    facts, best = report["tuning"], report["parameters"]
    options = " ".join(f"--train {name}={best[name]}" for name in sorted(best) if name != "seed")
    found = (
        f"{facts['objective']} {facts['score']:.4f} on {facts['validation']}, defaults"
        f" {facts['score_of_defaults']:.4f}; {facts['trials']} trials, kept as {facts['study']}"
    )
    return [
        found,
        *(f"  {name} {best[name]}" for name in sorted(best)),
        "train with them: movierec retrain --tuned",
        f"or: movierec retrain {options}",
    ]
