"""Outcomes against a slow, obvious count, in whatever order rows come."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from functions.evaluate_online import outcomes
from functions.evaluate_online.outcomes import Experiment, Served, Weights
from tests.unit.functions.evaluate_online.frames import answer, at, columns, rated, watched

HORIZON_S, SETTLE_S, UNTIL = 50, 10, 300
SECONDS, USERS, MOVIES = st.integers(0, 400), st.integers(1, 4), st.integers(0, 5)

answers = st.lists(
    st.builds(
        answer,
        USERS,
        SECONDS,
        st.lists(MOVIES, max_size=3, unique=True),
        st.sampled_from(["3", "4", "5", ""]),
        source=st.sampled_from(["model", "popular", "fallback"]),
        status=st.sampled_from([200, 200, 200, 500]),
    ),
    max_size=30,
).map(lambda rows: [row | {"number": i} for i, row in enumerate(rows)])
viewing = st.tuples(USERS, MOVIES, SECONDS, st.integers(0, HORIZON_S - 1), st.floats(0, 1))
viewings = st.lists(viewing.map(lambda v: (v[0], v[1], v[2], v[2] + v[3], v[4])), max_size=30)
ratings = st.lists(st.tuples(USERS, MOVIES, SECONDS, st.integers(1, 5)), max_size=20)
changes = st.dictionaries(SECONDS, st.sampled_from([0, 5, 25, 50, 100]), max_size=5)
histories = changes.map(lambda found: sorted(found.items()))


def evaluate(rows, viewed, rates, history):
    lists = Served.attributed(*columns(rows))
    met = outcomes.encounters(lists, watched(*viewed), rated(*rates), HORIZON_S)
    hit = outcomes.hits(len(lists.rows), met)
    weights = Weights(tuple(at(s) for s, _ in history), tuple(float(p) for _, p in history))
    experiment = Experiment("3", "4", weights, SETTLE_S)
    return met, outcomes.trials(lists, hit, experiment, until=at(UNTIL), horizon_s=HORIZON_S)


def slowly(rows, viewed, history):
    """Return (canary, hit, weight) of each trial and the mixed windows, by loops."""
    found, mixed = [], 0
    users = {row["user_id"] for row in rows}
    for user in users:
        mine = [row for row in rows if row["user_id"] == user and belongs(row)]
        mine.sort(key=lambda row: (row["served_at"], row["number"]))
        while mine:
            first, *rest = mine
            end = first["served_at"] + at(HORIZON_S) - at(0)
            inside = [row for row in rest if row["served_at"] < end]
            mine = [row for row in rest if row["served_at"] >= end]
            weight = weight_at(first["served_at"], history)
            if end <= at(UNTIL) and weight is not None:
                version = first["function_version"]
                found.append((first["served_at"], version == "4", is_hit(first, viewed), weight))
                mixed += any(row["function_version"] != version for row in inside)
    return sorted(row[1:] for row in found), mixed


def belongs(row):
    answered = row["status"] == 200 and row["source"] != "fallback"
    return answered and row["function_version"] in ("3", "4")


def is_hit(row, viewed):
    begin, end = row["served_at"] - at(1) + at(0), row["served_at"] + at(HORIZON_S) - at(0)
    mine = [v for v in viewed if v[0] == row["user_id"] and v[1] in row["movies"]]
    return any(begin <= at(second) <= end for v in mine for second in (v[2], v[3]))


def weight_at(time, history):
    """Return the share in force, or None where the trial is left out."""
    percent, before = None, None
    for second, new in history:
        if new != before and abs(time - at(second)) < at(SETTLE_S) - at(0):
            return None
        percent, before = (new if at(second) <= time else percent), new
    return percent / 100 if percent not in (None, 0, 100) else None


@given(answers, viewings, histories)
def test_trials_are_those_that_a_loop_finds(rows, viewed, history):
    _, trial_set = evaluate(rows, viewed, [], history)
    found = trial_set.trials
    triples = zip(found.canary.tolist(), found.hit.tolist(), found.weight.tolist(), strict=True)
    assert (sorted(triples), trial_set.mixed) == slowly(rows, viewed, history)


@given(answers, viewings, ratings, histories, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(rows, viewed, rates, history, random):
    met, trial_set = evaluate(rows, viewed, rates, history)
    rows, viewed, rates = (random.sample(part, len(part)) for part in (rows, viewed, rates))
    met_again, tried_again = evaluate(rows, viewed, rates, history)
    assert met.equals(met_again)
    assert trial_set.mixed == tried_again.mixed
    for name in ("canary", "hit", "weight"):
        assert np.array_equal(getattr(trial_set.trials, name), getattr(tried_again.trials, name))


@given(answers, histories)
def test_weights_are_exactly_the_historys(rows, history):
    _, trial_set = evaluate(rows, [], [], history)
    assert set(trial_set.trials.weight.tolist()) <= {p / 100 for _, p in history if 0 < p < 100}
