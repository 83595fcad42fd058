"""The links of a lineage: which release, which line of the site."""

from datetime import timedelta
from typing import Any

import pytest

from movierec.lake.served import Served, microseconds
from movierec.provenance import lineage
from tests.unit.movierec.provenance.example import AT, SERVED, event


def release(name: str, at: str, *, version: str = "12", sends: str = "route") -> tuple[Any, ...]:
    """Return a release's steps: cut and tested, and then perhaps shown to users."""
    steps = (("cut", "2026-11-01"), ("smoke", "2026-11-01"), (sends, at))
    return tuple({"release_id": name, "version": version, "name": n, "at": t} for n, t in steps)


OLD, NEW = release("old", "2026-11-19T09:00"), release("new", "2026-11-20T10:00")


@pytest.mark.parametrize(
    ("newest_first", "expected"),
    [
        ([NEW, OLD], "new"),
        ([release("later", "2026-11-20T11:00"), OLD], "old"),
        ([release("of another", "2026-11-20T10:00", version="13"), OLD], "old"),
        ([release("refused", "2026-11-20T10:00", sends="abort"), OLD], "old"),
        ([release("later", "2026-11-20T11:00"), release("soon", "2026-11-20T10:16")], "soon"),
        ([], None),
    ],
)
def test_the_release_is_the_last_that_sent_users_to_the_version(
    newest_first: list[tuple[Any, ...]], expected: str | None
) -> None:
    found = lineage.release_behind(SERVED, "12", newest_first)
    assert {step["release_id"] for step in found} == ({expected} if expected else set())


ON_13, ON_12 = {"stable": "13", "canary": None}, {"stable": "12", "canary": None}
CANARY_12 = {"stable": "11", "canary": "12", "canary_percent": 5.0}


@pytest.mark.parametrize(
    ("name", "version", "before", "after", "sends"),
    [
        ("weigh", "12", {"stable": "11", "canary": None}, CANARY_12, True),
        ("promote", "12", None, ON_12, True),
        ("rollback", "13", ON_13, ON_12, True),  # back to an earlier version
        ("rollback", "12", CANARY_12, {"stable": "11", "canary": None}, False),
        ("rollback", "13", {"stable": "12", "canary": "13"}, ON_12, False),  # it was there before
        ("smoke", "12", ON_13, None, False),
        ("hold", "12", CANARY_12, None, False),
    ],
)
def test_a_step_sends_users_to_a_version_that_had_none(
    name: str, version: str, before: Any, after: Any, sends: bool
) -> None:
    step = {"name": name, "version": version, "before": before, "after": after, "at": "then"}
    assert lineage.first_exposure([step], "12") == ("then" if sends else None)


def test_no_more_releases_are_read_than_needed() -> None:
    read = iter([NEW, OLD])
    lineage.release_behind(SERVED, "12", read)
    assert next(read) is OLD


def test_the_recommendation_nearest_in_time_is_taken() -> None:
    early, late = (
        Served(microseconds(AT + timedelta(seconds=s)), f"{s}", 7, (), "", "", "", 200, 1)
        for s in (-9, 4)
    )

    assert lineage.nearest([early, late], AT) is late
    assert lineage.nearest([], AT) is None


def test_the_sites_line_is_the_nearest_that_shows_the_same_list() -> None:
    other, later, right = event(0, ("x",)), event(90), event(-2)

    assert lineage.site_event(SERVED, [other, later, right]) is right
    assert lineage.site_event(SERVED, [other]) is None
