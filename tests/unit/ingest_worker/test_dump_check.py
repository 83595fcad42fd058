import gzip
import io
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from ingest_worker import check, command, dump_lines
from ingest_worker.dump_summary import Summary
from movierec.lake.log_lines import Catalog, Limits
from movierec.lake.site_clock import FoundClock

NOW = datetime(2026, 9, 20, 12, tzinfo=UTC)
ZONES = {"UTC": UTC, "Somewhere/West": timezone(timedelta(hours=-4))}
AT = datetime(2026, 9, 14, 10, 20)


def at(seconds):
    return (AT + timedelta(seconds=seconds)).isoformat()


def rate(seconds, user=7, rating="4", movie="harbour+of+glass+1987"):
    return f"{at(seconds)},{user},GET /rate/{movie}={rating}"


def watch(seconds, user=7, movie="harbour+of+glass+1987", minute=5):
    return f"{at(seconds)},{user},GET /data/m/{movie}/{minute}.mpg"


def asked(seconds, status=200, result="a+2001, b+2002", server="team1:8082"):
    return (
        f"{at(seconds)}.402,9,recommendation request {server}, status {status}, "
        f"result: {result}, 42 ms"
    )


class Silent(command.Voice):
    def progress(self, done, total, lines):
        pass


def checked(data, *, limits=None, catalog=None):
    summary = Summary(limits or Limits(), catalog, NOW, FoundClock())
    dump = dump_lines.of(io.BytesIO(data), "dump.log", len(data))
    found = check.read(dump, summary, Silent(), NOW, ZONES)
    assert sum(found["by_kind"].values()) + sum(found["by_reason"].values()) == found["lines"]
    json.dumps(found)
    return found


def text(lines, end="\n"):
    return "".join(line + end for line in lines).encode()


def settings_of(found):
    return {one["name"]: one["value"] for one in found["settings"]}


MIXED = [
    watch(1),
    rate(2),
    rate(2),
    f"{at(3)},70011,GET /create_account",
    asked(4),
    "junk",
    "",
    rate(5, rating="17"),
]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress])
def test_each_line_is_counted_once(end, pack):
    found = checked(pack(text(MIXED, end)))
    assert found["lines"] == len(MIXED)
    assert found["by_kind"] == {"watch": 1, "rate": 1, "create_account": 1, "recommend": 1}
    assert found["by_reason"] == {
        "duplicate": 1,
        "bad_time": 1,
        "empty": 1,
        "rating_out_of_range": 1,
    }
    assert found["examples"]["rating_out_of_range"] == [rate(5, rating="17")]
    assert found["time"]["first"] == at(1)
    assert found["duplicates"] == {"lines": 1, "share": 1 / 8}


def test_a_last_line_without_an_end_counts_and_a_byte_order_mark_does_not():
    data = b"\xef\xbb\xbf" + text([rate(1), rate(2)]).rstrip(b"\n")
    assert checked(data)["by_kind"] == {"rate": 2}


def test_lines_are_read_whole_however_the_file_is_cut(monkeypatch):
    monkeypatch.setattr(dump_lines, "_BATCH_BYTES", 7)
    lines = [rate(n, user=n + 1) for n in range(40)]
    assert checked(text(lines))["by_kind"] == {"rate": 40}


def test_a_line_without_end_takes_no_memory_to_speak_of_and_is_no_event(monkeypatch):
    monkeypatch.setattr(dump_lines, "_BATCH_BYTES", 1_000)
    monkeypatch.setattr(dump_lines, "_LONGEST_LINE_BYTES", 5_000)
    data = text([rate(1), "x" * 100_000, rate(2)])
    batches = list(dump_lines.of(io.BytesIO(data), "dump.log", None).batches())
    assert max(len(line) for lines in batches for line in lines) <= 6_000
    found = checked(data)
    assert (found["by_kind"], found["by_reason"]) == ({"rate": 2}, {"bad_time": 1})


def test_a_gzip_file_that_was_cut_is_read_as_far_as_it_goes():
    whole = gzip.compress(text([rate(n, user=n + 1) for n in range(50_000)]))
    found = checked(whole[: len(whole) // 2])
    assert found["cut_short"]
    assert 0 < found["by_kind"]["rate"] < 50_000


@pytest.mark.parametrize(
    ("ratings", "scale", "variables"),
    [
        ("12345" * 40, [1, 5], {}),
        ("6789" * 40, [1, 10], {"MOVIEREC_MAX_RATING": "10"}),
        ("12345" * 40 + "7", [1, 5], {}),
        ("012345" * 40, [0, 5], {"MOVIEREC_MIN_RATING": "0"}),
        ("08" * 40, [0, 10], {"MOVIEREC_MIN_RATING": "0", "MOVIEREC_MAX_RATING": "10"}),
    ],
)
def test_the_scale_is_that_of_all_but_rare_ratings(ratings, scale, variables):
    found = checked(text([rate(n, rating=one) for n, one in enumerate(ratings)]))
    assert found["ratings"]["scale"] == scale
    assert settings_of(found) == variables


def test_a_limit_that_is_set_wrong_is_named_also_where_the_default_fits():
    data = text([rate(n, rating=str(1 + n % 5)) for n in range(100)])
    found = checked(data, limits=Limits(max_rating=10))
    assert settings_of(found) == {"MOVIEREC_MAX_RATING": "5"}
    assert settings_of(checked(data)) == {}


def test_one_corrupt_user_id_moves_no_limit():
    lines = [watch(n, user=900_000 + n) for n in range(50)]
    found = checked(text([*lines, watch(60, user=6_597_125)]))
    assert found["users"] == {
        "largest": 6_597_125,
        "within": 900_049,
        "limit": 1_000_000,
        "beyond": 1,
        "distinct": 50,
    }
    assert settings_of(found) == {}


def test_users_beyond_the_limit_ask_for_a_larger_one():
    lines = [watch(n, user=3_200_000 + n) for n in range(50)]
    found = checked(text([*lines, watch(60, user=999_999_999_999_999_999)]))
    assert found["by_reason"] == {"user_out_of_range": 51}
    assert settings_of(found) == {"MOVIEREC_MAX_USER_ID": "5000000"}
    alone = checked(text([watch(1, user=999_999_999_999_999_999)]))
    assert settings_of(alone) == {"MOVIEREC_MAX_USER_ID": "999999999999999999"}


def test_an_old_log_needs_its_first_day_and_must_not_be_deleted():
    line = "1998-03-05T10:00:0{},7,GET /data/m/harbour+of+glass+1987/5.mpg"
    found = checked(text([line.format(n) for n in range(9)]))
    assert settings_of(found)["MOVIEREC_EARLIEST_EVENT_TIME"] == "1998-03-01"
    recent = Limits(earliest=datetime(1990, 1, 1).date())
    again = checked(text([line.format(n) for n in range(9)]), limits=recent)
    assert settings_of(again)["MOVIEREC_WATCH_RETENTION_DAYS"] == "0"


def test_requests_are_counted_as_the_site_judges_them():
    twenty_one = ", ".join(f"m{n}+2001" for n in range(21))
    lines = [
        asked(1),
        asked(2, result="a+2001, a+2001"),
        asked(3, result=twenty_one),
        asked(4, status=0, result="java.net.ConnectException: Connection refused"),
        asked(5, result="['a+2001', 'b+2002']"),
    ]
    requests = checked(text(lines))["requests"]
    assert (requests["total"], requests["successful"], requests["share"]) == (4, 3, 0.75)
    assert requests["lists"] == {
        "longest_taken": 20,
        "too_long": 1,
        "with_repeats": 1,
        "malformed": 1,
    }
    assert requests["servers"] == {"team1:8082": 4}
    assert requests["errors"] == {"java.net.ConnectException: Connection refused": 1}
    assert requests["latency_ms"] == {"p50": 42, "p99": 42}


def test_movies_that_the_catalog_lacks_are_counted_and_named():
    lines = [watch(n, movie="b+2002") for n in range(3)] + [watch(9, movie="a+2001")]
    found = checked(text(lines), catalog=Catalog({"a+2001": 90, "c+2003": 80}))
    assert found["by_reason"] == {"unknown_movie": 3}
    assert found["movies"] == {
        "seen": 2,
        "named_once": 1,
        "too_many": False,
        "catalog": 2,
        "unknown": 1,
        "unknown_examples": ["b+2002"],
    }


def recorded(seconds, line, *, hours_behind=4, more=""):
    utc = (AT + timedelta(hours=hours_behind, seconds=seconds)).replace(tzinfo=UTC)
    return f"CreateTime:{int(utc.timestamp() * 1000) + 120}\t{more}{line}"


@pytest.mark.parametrize("more", ["", "null\t", "Partition:0\tOffset:17\tNO_HEADERS\t42\t"])
@pytest.mark.parametrize("broken", [b"", b"\xff\xfe\n"])
def test_a_console_consumers_dump_has_the_records_times(more, broken):
    lines = [recorded(n, watch(n, user=n + 1), more=more) for n in range(60)]
    found = checked(text([*lines, rate(70)]) + broken)
    assert found["record_times"]
    assert found["by_kind"] == {"watch": 60, "rate": 1}
    clock = found["clock"]
    assert (clock["basis"], clock["offset_minutes"], clock["timed_lines"]) == ("found", -240, 60)
    assert clock["example_zone"] == "Somewhere/West"


def test_without_the_records_times_the_clock_is_unknown():
    clock = checked(text([watch(n) for n in range(60)]))["clock"]
    assert (clock["basis"], clock["offset_minutes"], clock["timed_lines"]) == ("assumed", None, 0)


def test_a_backlog_that_was_written_at_once_shows_no_clock():
    lines = [f"CreateTime:1694712007402\t{watch(n, user=n + 1)}" for n in range(60)]
    clock = checked(text(lines))["clock"]
    assert (clock["basis"], clock["timed_lines"]) == ("assumed", 60)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"\x00\x01\x02" * 100, "binary"),
        (b"PK\x03\x04....", "zip"),
        (b"PAR1....", "Parquet"),
        (b'{"id":"a+2001","title":"A"}\n', "export of movies"),
        (b'{"user_id":7,"age":30,"occupation":"x"}\n', "export of users"),
        (b'{"value":"2026"}\n', "JSON"),
        (b"timestamp,user,request\n2026-09-14,7,x\n", "CSV"),
        (b"<!doctype html>\n<p>\n", "HTML"),
        (b"7\t200\n8\t300\n", "tabs"),
        ("2026".encode("utf-16"), "UTF-16"),
        (b"Lorem ipsum\ndolor\n", "no line of the site's log"),
        (b"Lorem ipsum", "without an end of line"),
        (gzip.compress(b"Lorem ipsum", mtime=0), "gzip"),
    ],
)
def test_a_file_without_a_good_line_is_said_to_be_what_it_looks_like(data, words):
    found = checked(data)
    assert found["well_formed"] == 0
    assert words in found["looks_like"]
    assert found["settings"] == []


@pytest.mark.parametrize("line", [rate(1), rate(1, rating="9"), watch(1, user=5_000_000)])
def test_lines_that_only_the_limits_of_now_refuse_are_still_the_sites(line):
    found = checked(text([line]))
    assert (found["looks_like"], found["well_formed"]) == ("", 1)
    assert found["time"]["first"] == at(1)
