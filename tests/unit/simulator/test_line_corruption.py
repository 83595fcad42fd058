from collections import Counter

import numpy as np
import pytest

from movierec.model.rating_scale import NATIVE, RatingScale
from simulator.line_corruption import (
    Corruption,
    CorruptionRates,
    Detectability,
    corrupt,
    invalidate_rating,
)
from simulator.reference_parser import ReferenceParser

PARSER = ReferenceParser({"alien+1979": 117})
WATCH = "2022-11-14T12:23:12,596363,GET /data/m/alien+1979/16.mpg"
RATE = "2022-11-14T12:23:12,596363,GET /rate/alien+1979=4"
ASKED = "2022-11-14T12:23:12.202,7,recommendation request h:1, status 0, result: x, 5 ms"


def only(what):
    names = {Corruption.INSERTED: "inserted", Corruption.REPLACED_ID: "replaced_id",
             Corruption.BAD_RATING: "bad_rating", Corruption.DUPLICATE: "duplicate"}  # fmt: skip
    return CorruptionRates(**{name: float(damage is what) for damage, name in names.items()})


def test_no_damage_is_done_at_rates_of_zero():
    assert (
        corrupt([WATCH, RATE, ASKED], CorruptionRates(0, 0, 0, 0), PARSER, np.random.default_rng(1))
        == []
    )


@pytest.mark.parametrize("what", list(Corruption))
def test_every_line_gets_the_damage_that_applies_to_it(what):
    lines = [f"{line[:-1]}{line[-1]}" for line in (WATCH, RATE, ASKED)]
    found = corrupt(lines, only(what), PARSER, np.random.default_rng(1))
    assert {one.corruption for one in found} == {what}
    rows = {
        Corruption.INSERTED: [0, 1, 2],
        Corruption.REPLACED_ID: [0, 1],
        Corruption.BAD_RATING: [1],
        Corruption.DUPLICATE: [0, 1, 2],
    }
    assert [one.row for one in found] == rows[what]


def test_an_inserted_character_is_one_letter_digit_or_blank():
    lines = [WATCH] * 400
    found = corrupt(lines, only(Corruption.INSERTED), PARSER, np.random.default_rng(1))
    for one in found:
        assert len(one.text) == len(WATCH) + 1
        extra = Counter(one.text) - Counter(WATCH)
        assert next(iter(extra)).isalnum() or " " in extra


def test_a_digit_in_the_user_id_is_silent_while_the_id_stays_in_range():
    near = [f"2022-11-14T12:23:12,12,GET /data/m/alien+1979/{k}.mpg" for k in range(100)] * 20
    found = corrupt(near, only(Corruption.INSERTED), PARSER, np.random.default_rng(3))
    silent = [one for one in found if one.detectability is Detectability.SILENT]
    assert any(one.text.split(",")[1] != "12" for one in silent)
    assert all(PARSER.reads_as_event(one.text) for one in silent)


def test_a_damaged_line_never_equals_another_line():
    """A digit in minute 1 makes 1x: with all of these there, every silent damage would clash."""
    lines = [f"2022-11-14T12:23:12,12,GET /data/m/alien+1979/{k}.mpg" for k in range(119)]
    found = [
        one
        for seed in range(60)
        for one in corrupt(lines, only(Corruption.INSERTED), PARSER, np.random.default_rng(seed))
    ]
    assert any(one.detectability is Detectability.SILENT for one in found)
    assert not {one.text for one in found if one.detectability is Detectability.SILENT} & set(lines)


def test_a_duplicate_is_the_line_itself():
    (one,) = corrupt([WATCH], only(Corruption.DUPLICATE), PARSER, np.random.default_rng(1))
    assert (one.text, one.detectability) == (WATCH, Detectability.DUPLICATE)


def test_spoilt_ratings_are_letters_or_out_of_range():
    rng = np.random.default_rng(1)
    spoilt = {invalidate_rating(RATE, NATIVE, rng).rpartition("=")[2] for _ in range(300)}
    assert any(text.isalpha() for text in spoilt)
    assert {"0", "6"} <= spoilt
    assert not {"1", "2", "3", "4", "5"} & spoilt


@pytest.mark.parametrize("scale", [RatingScale(0, 10), RatingScale(1, 10)])
def test_spoilt_ratings_are_out_of_whatever_scale_the_site_has(scale):
    parser = ReferenceParser({"alien+1979": 117}, scale=scale)
    rng = np.random.default_rng(1)
    spoilt = [invalidate_rating(RATE, scale, rng) for _ in range(300)]
    assert not any(parser.reads_as_event(line) for line in spoilt)
    assert {str(scale.lowest - 1), "11"} <= {line.rpartition("=")[2] for line in spoilt}


def test_damage_is_as_frequent_as_its_rate():
    lines = [WATCH, RATE] * 20_000
    found = corrupt(
        lines, CorruptionRates(0.01, 0.005, 0.01, 0.002), PARSER, np.random.default_rng(1)
    )
    count = Counter(one.corruption for one in found)
    assert count[Corruption.INSERTED] == pytest.approx(400, rel=0.25)
    assert count[Corruption.REPLACED_ID] == pytest.approx(200, rel=0.25)
    assert count[Corruption.BAD_RATING] == pytest.approx(200, rel=0.25)
    assert count[Corruption.DUPLICATE] == pytest.approx(80, rel=0.4)
