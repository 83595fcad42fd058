import numpy as np

from simulator.line_corruption import CorruptionRates
from simulator.message_sender import MessageSender, RecentLines
from simulator.reference_parser import ReferenceParser
from simulator.traffic_ledger import Ledger

PARSER = ReferenceParser({"alien+1979": 500})
NOTHING = CorruptionRates(0, 0, 0, 0)


class Log:
    """Takes lines; confirms or loses them when told to."""

    def __init__(self):
        self.sent = []
        self._calls = []

    def send(self, line, key, partition, confirmed, lost):
        self.sent.append((line.decode(), key, partition))
        self._calls.append((len(self.sent) - 1, confirmed, lost))

    def confirm(self):
        for offset, confirmed, _ in self._calls:
            confirmed(offset)
        self._calls.clear()

    def lose(self):
        for _, _, lost in self._calls:
            lost(OSError("gone"))
        self._calls.clear()


def sender(log, rates=NOTHING):
    return MessageSender(log, lambda user: user % 3, rates, PARSER, np.random.default_rng(1))


def line(minute, user=7):
    return f"2022-11-14T12:23:12,{user},GET /data/m/alien+1979/{minute}.mpg"


def test_a_line_goes_to_its_users_partition_under_the_users_key():
    log = Log()
    sender(log).write("watch", 7, line(1))
    assert log.sent == [(line(1), b"7", 1)]


def test_a_line_counts_once_it_is_confirmed_and_not_before():
    log, ledger = Log(), Ledger()
    box = sender(log)
    box.write("watch", 7, line(1))
    box.count_confirmed(ledger)
    assert (ledger.lines.total(), ledger.unconfirmed) == (0, 1)
    log.confirm()
    assert box.count_confirmed(ledger) == []
    assert (ledger.lines["watch"], ledger.unconfirmed) == (1, 0)
    assert ledger.next_offset == {1: 1}


def test_a_lost_line_stays_unconfirmed_and_is_told_of():
    log, ledger = Log(), Ledger()
    box = sender(log)
    box.write("watch", 7, line(1))
    log.lose()
    assert [str(why) for why in box.count_confirmed(ledger)] == ["gone"]
    assert box.count_confirmed(ledger) == []
    assert (ledger.lines.total(), ledger.unconfirmed) == (0, 1)


def test_a_line_is_not_sent_twice_by_accident():
    log = Log()
    box = sender(log)
    box.write("watch", 7, line(1))
    box.write("watch", 7, line(1))
    assert len(log.sent) == 1


def test_a_duplicate_on_purpose_is_sent_twice_and_one_of_them_is_an_event():
    log, ledger = Log(), Ledger()
    box = sender(log, CorruptionRates(0, 0, 0, 1))
    box.write("watch", 7, line(1))
    log.confirm()
    box.count_confirmed(ledger)
    assert [text for text, _, _ in log.sent] == [line(1)] * 2
    assert (ledger.lines["watch"], ledger.events["watch"], ledger.quarantined) == (2, 1, 1)


def test_lines_are_events_or_quarantined_whatever_the_damage():
    log, ledger = Log(), Ledger()
    box = sender(log, CorruptionRates(0.3, 0.1, 0.0, 0.3))
    for minute in range(400):
        box.write("watch", 7, line(minute))
    log.confirm()
    box.count_confirmed(ledger)
    assert ledger.lines.total() == len(log.sent) == ledger.events.total() + ledger.quarantined
    readable = {text for text, _, _ in log.sent if PARSER.reads_as_event(text)}
    assert ledger.events.total() == len(readable)


def test_the_oldest_lines_are_forgotten():
    recent = RecentLines(2)
    for text in ("a", "b", "b", "c"):
        recent.add(text)
    assert "a" not in recent
    assert "b" in recent
    assert "c" in recent
