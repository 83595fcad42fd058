from pathlib import Path

import pytest

from movierec.errors import ConfigError, UsageError
from proxy.__main__ import parse


@pytest.fixture(autouse=True)
def lake_bucket(monkeypatch):
    monkeypatch.setenv("MOVIEREC_LAKE_BUCKET", "a-bucket")


def test_the_defaults_are_those_of_the_design():
    settings = parse(["--api-url", "http://localhost:4566/x"])
    assert (settings.host, settings.port) == ("127.0.0.1", 8082)
    assert settings.deadline_s == 0.4
    assert settings.flush_s == 5


def test_the_environment_names_the_api(monkeypatch):
    monkeypatch.setenv("MOVIEREC_API_URL", "http://api/live")
    assert parse([]).api_url == "http://api/live"
    assert parse(["--api-url", "http://other"]).api_url == "http://other"


def test_a_missing_variable_is_said_by_name(monkeypatch):
    with pytest.raises(ConfigError, match="MOVIEREC_API_URL"):
        parse([])
    monkeypatch.delenv("MOVIEREC_LAKE_BUCKET")
    with pytest.raises(ConfigError, match="MOVIEREC_LAKE_BUCKET"):
        parse(["--api-url", "http://api"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--proxy-id", ""],
        ["--proxy-id", "../1"],
        ["--deadline-ms", "0"],
        ["--deadline-ms", "-400"],
        ["--flush-s", "0"],
        ["--journal-limit-mb", "0"],
        ["--api-calls", "0"],
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(arguments):
    with pytest.raises(UsageError, match=arguments[0]):
        parse(["--api-url", "http://api", *arguments])


def test_two_proxies_on_one_machine_keep_apart():
    folders = {
        parse(["--api-url", "http://api", "--folder", "f", "--proxy-id", name]).own_folder
        for name in ("a", "b")
    }
    assert folders == {Path("f/proxy-a"), Path("f/proxy-b")}
