"""Stopping children of a run: some, all, or those that one supervisor started.

Apart from the Supervisor, so that its guard, which runs when the Supervisor is gone, can do it too.
"""

from collections.abc import Collection
from typing import Final

import psutil

from movierec.stack import run_record
from movierec.stack.layout import Run
from movierec.stack.processes import trees
from movierec.stack.run_record import Process

ANYBODY: Final = ""
"""In place of a supervisor's name: whoever started it."""


def mark(run: Run, owner: str = ANYBODY, name: str = "") -> str:
    """Return what a child's environment holds, or how that begins when the name is left out."""
    return ":".join(filter(None, (str(run.folder), owner, name)))


def stop(run: Run, processes: Collection[Process]) -> None:
    """Stop children, all at once and with everything that they started, and forget them."""
    if not processes:
        return
    run_record.update(run, lambda before: before.stopping(*processes))
    end(run, processes)
    run_record.update(run, lambda before: before.without(*processes))


def end(run: Run, processes: Collection[Process]) -> None:
    """End children, and what dead ones left behind; the record of them stays."""
    leaders = [leader for p in processes if (leader := trees.handle(p)) is not None]
    grace_s = max((process.grace_s for process in processes), default=0.0)
    trees.end(leaders, _families(run, processes), grace_s=grace_s)
    # What they started while they were being stopped.
    trees.end((), _families(run, processes), grace_s=0.0)


def stop_in_order(run: Run, owner: str = ANYBODY) -> None:
    """Stop the children of one supervisor, or of all, a group at a time, the last started first.

    Processes that carry the mark and are in no record go too.
    """
    found = [p for p in run_record.load(run).processes if owner in (ANYBODY, p.owner)]
    for group in dict.fromkeys(process.group for process in reversed(found)):
        stop(run, [process for process in found if process.group == group])
    trees.end((), trees.marked(mark(run, owner)), grace_s=0.0)


def _families(run: Run, processes: Collection[Process]) -> trees.Handles:
    """Return what belongs to these children, without what the record has as a child of its own.

    A part that the run's supervisor has started again descends from it.
    """
    nobody = frozenset[psutil.Process]()
    found = nobody.union(*(trees.family(p, mark(run, p.owner, p.name)) for p in processes))
    names = {process.name for process in processes}
    others = (trees.handle(p) for p in run_record.load(run).processes if p.name not in names)
    return found - nobody.union(
        *(trees.descendants(leader) for leader in others if leader in found)
    )
