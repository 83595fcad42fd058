from pathlib import Path

import pytest

from movierec.cli.simulate import Watched, show, watched_of


class Shown:
    """A step that keeps what it was told last."""

    told: tuple[object, object, object] = (None, None, None)

    def update(self, done=None, total=None, note=None):
        self.told = (done, total, note)


def account(lines, unconfirmed=0, requests=0, availability=None):
    return {
        "lines": {"total": lines},
        "unconfirmed": unconfirmed,
        "requests": {"total": requests, "availability": availability},
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--ledger=a", "--events=9"], Watched(Path("a"), backfill=False, events=9)),
        (["--ledger=a", "--backfill", "2"], Watched(Path("a"), backfill=True, events=1_000_000)),
        (["--ledger=a", "--ledger", "b", "--rate=3"], Watched(Path("b"), False, 1_000_000)),
        # Left for the simulator to refuse.
        (["--ledger=a", "--events", "many"], Watched(Path("a"), False, 1_000_000)),
        (["--ledger=a", "--backfill"], Watched(Path("a"), False, 1_000_000)),
    ],
)
def test_what_is_watched_follows_from_the_simulators_arguments(arguments, expected):
    assert watched_of(arguments) == expected


def test_a_history_is_shown_by_its_lines_those_on_their_way_included():
    step = Shown()
    show(step, Watched(Path("a"), backfill=True, events=1000), account(300, unconfirmed=200))
    assert step.told == (500, 1000, "500 lines")


def test_more_lines_than_asked_for_do_not_pass_the_end():
    """Damage is made up for by some lines more."""
    step = Shown()
    show(step, Watched(Path("a"), backfill=True, events=1000), account(1003))
    assert step.told[:2] == (1000, 1000)


def test_a_living_site_is_shown_by_its_requests():
    step = Shown()
    show(step, Watched(Path("a"), backfill=False, events=1), account(7000, 0, 1200, 0.9991))
    assert step.told[2] == "1,200 requests, availability 99.91%, 7,000 lines"
