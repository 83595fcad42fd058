import pytest

from movierec.model.rating_scale import RatingScale
from simulator.reference_parser import ReferenceParser

RUNTIMES = {"alien+1979": 117, "aliens+1986": 137, "unknown+": 0}
PARSER = ReferenceParser(RUNTIMES)
REQUEST = "2022-11-14T12:23:12.202,7,recommendation request host:8082, status {}, result: {}, {}"


@pytest.mark.parametrize(
    "line",
    [
        "2022-11-14T12:23:12,596363,GET /data/m/alien+1979/16.mpg",
        "2022-11-14T12:23,1,GET /data/m/alien+1979/118.mpg",
        "2022-11-14T12:23:00,1000000,GET /data/m/unknown+/9999.mpg",
        "2022-11-14T12:23:12.123456789,1,GET /rate/alien+1979=5",
        REQUEST.format(200, "alien+1979, aliens+1986, alien+1979", "0 ms"),
        REQUEST.format(0, "java.net.X: a, b: c", "25 ms"),
        REQUEST.format(502, "", "25 ms"),
        "2026-09-14T09:03:11.402,70011,GET /create_account",
        "  2022-11-14T12:23:12,1,GET /rate/alien+1979=5 ",
    ],
)
def test_valid_lines_read_as_events(line):
    assert PARSER.reads_as_event(line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        ",,",
        "2022-02-30T12:23:12,1,GET /data/m/alien+1979/16.mpg",
        "2022-11-14T24:23:12,1,GET /data/m/alien+1979/16.mpg",
        "2022-11-14T12:23:12.1,1,GET /data/m/alien+1979/16.mpg",
        "2022-11-14T12:23.123,1,GET /data/m/alien+1979/16.mpg",
        "2022-11-14T1O2:23:16,1,GET /data/m/alien+1979/97.mpg",
        "2022-11-14T12:23:12,0,GET /data/m/alien+1979/16.mpg",
        "2022-11-14T12:23:12,01,GET /data/m/alien+1979/16.mpg",
        "2022-11-14T12:23:12,1000001,GET /data/m/alien+1979/16.mpg",
        "2022-11-14T12:23:12,1,GZET /data/m/alien+1979/16.mpg",
        "2022-11-14T12:23:12,1,GET /data/m/ alien+1979/16.mpg",
        "2022-11-14T12:23:12,1,GET /data/m/alien+19799/16.mpg",
        "2022-11-14T12:23:12,1,GET /data/m/alien+1979/016.mpg",
        "2022-11-14T12:23:12,1,GET /data/m/alien+1979/119.mpg",
        "2022-11-14T12:23:12,1,GET /data/m/alien+1979/16.Hmpg",
        "2022-11-14T12:23:12,1,GET /rate/alien+1979=6",
        "2022-11-14T12:23:12,1,GET /rate/alien+1979=F",
        "2022-11-14T12:23:12,1,GET /create_accounts",
        "2022-11-14T12:23:12,0,GET /create_account",
        "2022-11-14T12:23:12,1,GET /rate/alien+1979=04",
        REQUEST.format(200, "alien+1979,aliens+1986", "5 ms"),
        REQUEST.format(200, "other", "5 ms"),
        REQUEST.format(2000, "alien+1979", "5 ms"),
        REQUEST.format(99, "text", "5 ms"),
        REQUEST.format(0, "text", "05 ms"),
        REQUEST.format(0, "text", "5 m s"),
        "2022-11-14T12:23:12,1,recommendation request ho st:8082, status 0, result: x, 5 ms",
    ],
)
def test_broken_lines_do_not(line):
    assert not PARSER.reads_as_event(line)


def test_without_a_catalog_any_well_formed_id_and_minute_will_do():
    parser = ReferenceParser(None)
    assert parser.reads_as_event("2022-11-14T12:23:12,1,GET /data/m/aDdjc1gioFamIk7/8888.mpg")
    assert not parser.reads_as_event("2022-11-14T12:23:12,1,GET /data/m/a,b/8.mpg")


def test_ranges_are_configurable():
    parser = ReferenceParser(RUNTIMES, max_user_id=500, scale=RatingScale(1, 10))
    assert parser.reads_as_event("2022-11-14T12:23:12,500,GET /rate/alien+1979=10")
    assert not parser.reads_as_event("2022-11-14T12:23:12,501,GET /rate/alien+1979=10")


def test_a_lowest_rating_of_0_is_a_rating():
    parser = ReferenceParser(RUNTIMES, scale=RatingScale(0, 10))
    assert parser.reads_as_event("2022-11-14T12:23:12,5,GET /rate/alien+1979=0")
    assert not PARSER.reads_as_event("2022-11-14T12:23:12,5,GET /rate/alien+1979=0")
