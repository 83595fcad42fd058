"""What the simulator writes is the site's grammar; what it calls corrupted is corrupted."""

import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ingest_worker.line_parser import parse
from ingest_worker.line_rules import validate
from movierec.lake import log_lines
from simulator import history_format, history_generator, synthetic_world
from simulator.history_generator import HistoryWindow
from simulator.line_corruption import (
    Corruption,
    CorruptionRates,
    Detectability,
    corrupt,
    insert_character,
)
from simulator.reference_parser import ReferenceParser
from simulator.request_errors import Server
from simulator.world_growth import GrowingWorld

# Written down once more, from the course's description of its stream; shares nothing with the
# simulator's reference parser or with the product's parser.
ID = r"[a-z0-9+.*'_-]+"
GRAMMAR = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{3}|\.\d{6}|\.\d{9})?)?),(?P<user>[1-9]\d*),"
    rf"(GET /data/m/(?P<watched>{ID})/(?P<minute>0|[1-9]\d*)\.mpg"
    rf"|GET /rate/(?P<rated>{ID})=(?P<rating>[1-9]\d*)"
    rf"|recommendation request (?P<server>[^ ,]+), status "
    rf"(200, result: (?P<ids>{ID}(, {ID})*)|0, result: (?P<error>.*)), (0|[1-9]\d*) ms"
    r"|GET /create_account)"
)
WORLD = synthetic_world.generate(60, 300, 5)
GROWN = GrowingWorld(WORLD, 5).grow(0, 20)
RUNTIMES = WORLD.films.runtimes
PARSER = ReferenceParser(RUNTIMES)
LIMITS = log_lines.Limits()
CATALOG = log_lines.Catalog(RUNTIMES)
ONLY = {
    Corruption.INSERTED: CorruptionRates(1, 0, 0, 0),
    Corruption.REPLACED_ID: CorruptionRates(0, 1, 0, 0),
    Corruption.BAD_RATING: CorruptionRates(0, 0, 1, 0),
}
SEED = st.integers(0, 2**32)


def lines_of(seed, count=150):
    rng = np.random.default_rng(seed)
    window = HistoryWindow(1_790_000_000, 3.0)
    past = history_generator.generate(WORLD, np.arange(60), count, window, rng)
    signed_up = history_generator.generate_newcomers(GROWN, np.arange(60, 80), window, rng)
    past = history_generator.merge(past, signed_up)
    return history_format.texts(past, GROWN, Server("localhost:8082", "127.0.0.1"), rng)


def is_event(line):
    """Return whether the independent grammar, with the catalog's ranges, takes the line."""
    found = GRAMMAR.fullmatch(line.strip(" "))
    if found is None or not 1 <= int(found["user"]) <= 1_000_000:
        return False
    try:
        np.datetime64(found["time"])
    except ValueError:
        return False
    if found["watched"]:
        runtime = RUNTIMES.get(found["watched"], -9)
        return int(found["minute"]) <= runtime + 1
    if found["rated"]:
        return found["rated"] in RUNTIMES and int(found["rating"]) <= 5
    return found["ids"] is None or all(name in RUNTIMES for name in found["ids"].split(", "))


def product_takes(line):
    recorded_us = np.full(1, np.datetime64("2030-01-01", "us").astype(np.int64))
    checked = validate(parse([line.encode()]), LIMITS, CATALOG, recorded_us)
    return not len(checked.rejected)


@given(SEED)
def test_the_same_seed_gives_the_same_bytes(seed):
    assert lines_of(seed) == lines_of(seed)


@given(SEED)
def test_every_undamaged_line_is_of_the_grammar(seed):
    lines = lines_of(seed)
    assert [line for line in lines if not is_event(line)] == []
    assert [line for line in lines if not PARSER.reads_as_event(line)] == []
    assert len(set(lines)) == len(lines)


@pytest.mark.parametrize("what", list(ONLY))
@given(seed=SEED)
def test_the_fate_of_a_damaged_line_is_what_the_grammar_says(what, seed):
    found = corrupt(lines_of(seed), ONLY[what], PARSER, np.random.default_rng(seed))
    assume(found)  # a few seeds make no rating that could be spoilt
    for one in found:
        assert is_event(one.text) is (one.detectability is Detectability.SILENT), one.text


@given(SEED, st.data())
def test_the_product_takes_an_inserted_character_for_what_the_simulator_does(seed, data):
    """Two readings of one grammar, written by different hands: any difference is a defect."""
    line = data.draw(st.sampled_from(lines_of(seed, 60)))
    corrupted = insert_character(line, np.random.default_rng(seed))
    assert product_takes(corrupted) is PARSER.reads_as_event(corrupted), corrupted


@given(SEED)
def test_the_ledger_counts_the_events_that_the_product_takes(seed):
    """Whatever the corruption, and new users' lines among them."""
    lines = lines_of(seed)
    rates = CorruptionRates(0.3, 0.2, 0.2, 0.0)
    for one in corrupt(lines, rates, PARSER, np.random.default_rng(seed)):
        lines[one.row] = one.text
    different = list(dict.fromkeys(lines))
    recorded_us = np.full(len(different), np.datetime64("2030-01-01", "us").astype(np.int64))
    checked = validate(parse([one.encode() for one in different]), LIMITS, CATALOG, recorded_us)
    rejected = {different[i] for i in checked.rejected.tolist()}
    assert rejected == {line for line in different if not PARSER.reads_as_event(line)}
