"""Hard rules: each is broken by the flaw that it is for, and by nothing else."""

from dataclasses import replace

import pytest

from movierec.errors import UsageError
from movierec.quality import rules
from movierec.quality.limits import Limits
from movierec.quality.rules import Judgement, Released
from tests.unit.movierec.quality.site import Site

RELEASED = Released("v1", "d1", Site().profile(1000), Site().sample(1000)[0].movie_ids)
JUDGEMENT = Judgement(RELEASED)


def column(violations=0, **more):
    return {"missing": 0, "violations": violations, **more}


def report(profile=None, **changes):
    """Return a report without a flaw, but for the changes."""
    rows = {"rows": 1000, "fields": {"user_id": column(), "rating": column()}}
    good = {
        "rows": {"by_kind": {"watch": 900, "rate": 100, "recommend": 50}},
        "duplicates": {"share": 0.0},
        "values": {"log line, rate": rows},
        "profile": profile or Site().profile(1),
    }
    return {**good, **changes}


def judged(found, judgement=JUDGEMENT):
    compared = rules.compare(found["profile"], RELEASED.movie_ids, judgement.released)
    return rules.broken(found, compared, judgement), rules.warnings(found, compared)


def test_a_data_set_without_a_flaw_breaks_nothing_and_is_not_warned_of():
    assert judged(report()) == ([], [])


def with_references(**shares):
    profile = Site().profile(1)
    for side, share in shares.items():
        profile["references"][side]["share"] = share
    return report(profile)


def with_values(**fields):
    return report(values={"log line, rate": {"rows": 1000, "fields": fields}})


@pytest.mark.parametrize(
    ("flawed", "reason"),
    [
        (report(rows={"by_kind": {"rate": 100}}), "no event of kind watch"),
        (report(rows={"by_kind": {"watch": 100}}), "no event of kind rate: the released data set"),
        (report(duplicates={"share": 0.4}), "40.0% of events are there twice, more than 10.0%"),
        (with_references(movies=0.6), "60.0% of interactions are of movies that the catalog lacks"),
        (with_references(users=0.6), "60.0% of interactions are of users without a row (0.0% in"),
        (with_values(user_id=column(11)), "1.1% of log line, rate: user_id is not as declared"),
        (with_values(rating=column(2)), "rating is outside of the site's scale, more than 0.1%"),
        (report(Site(rating_shift=1).profile(1)), "drift of ratings: PSI"),
        (report(Site(hours_moved=4).profile(1)), "drift of hours: PSI"),
    ],
)
def test_a_flaw_breaks_its_rule(flawed, reason):
    (found,) = judged(flawed)[0]
    assert reason in found


def test_users_that_the_site_is_still_asked_for_break_nothing():
    before = replace(RELEASED, profile=with_references(users=0.8)["profile"])
    assert judged(with_references(users=0.7), Judgement(before))[0] == []
    assert judged(with_references(users=0.7), Judgement("none is released"))[0] == []


def test_drift_that_is_accepted_is_a_warning_and_other_rules_stay():
    drifted = report(Site(rating_shift=1).profile(1), duplicates={"share": 0.4})
    broken, warned = judged(drifted, replace(JUDGEMENT, accept_drift=True))
    assert [text.partition(" of ")[2] for text in broken] == [
        "events are there twice, more than 10.0%"
    ]
    assert any(text.startswith("drift of ratings") for text in warned)


def test_other_limits_are_those_that_count():
    wide = replace(JUDGEMENT, limits=Limits.read({"duplicate_share": 0.5}))
    assert judged(report(duplicates={"share": 0.4}), wide)[0] == []


@pytest.mark.parametrize(
    "given", [{"duplicate_share": 2.0}, {"depth": 1}, {"duplicate_share": "x"}]
)
def test_a_wrong_limit_is_refused(given):
    with pytest.raises(UsageError):
        Limits.read(given)


def test_a_column_of_one_value_a_missing_row_and_a_new_catalog_are_warned_of():
    flawed = with_values(rating=column(constant=True), user_id=column(3))
    flawed["duplicates"] = {"share": 0.02}
    flawed["profile"]["references"]["users"]["share"] = 0.06
    compared = rules.compare(flawed["profile"], [f"x{i}" for i in range(300)], RELEASED)
    warned = " / ".join(rules.warnings(flawed, compared))
    for text in (
        "1,000 rows of log line, rate all have the same rating",
        "3 of 1,000 rows of log line, rate break what is declared of user_id",
        "2.0% of events are there twice",
        "6.0% of interactions are of users that the table of users lacks",
        "100.0% of movies are new since",
        "100.0% of movies of before are gone",
    ):
        assert text in warned
