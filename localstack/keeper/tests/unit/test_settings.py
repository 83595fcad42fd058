"""What the environment says."""

from pathlib import Path

import pytest

from localstack_keeper.errors import RefusedError
from localstack_keeper.settings import Settings


def test_without_a_folder_nothing_is_kept() -> None:
    assert Settings.from_env({}) is None
    assert Settings.from_env({"KEEPER_FOLDER": "", "KEEPER_INTERVAL_S": "1"}) is None


def test_a_folder_alone_is_enough() -> None:
    assert Settings.from_env({"KEEPER_FOLDER": "/state"}) == Settings(
        Path("/state"), 5.0, sync=True
    )


@pytest.mark.parametrize("text", ["0", "-1", "soon", "inf", "nan"])
def test_an_interval_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(RefusedError, match="KEEPER_INTERVAL_S"):
        Settings.from_env({"KEEPER_FOLDER": "/state", "KEEPER_INTERVAL_S": text})


def test_a_sync_that_is_neither_yes_nor_no_is_refused_by_name() -> None:
    with pytest.raises(RefusedError, match="KEEPER_SYNC"):
        Settings.from_env({"KEEPER_FOLDER": "/state", "KEEPER_SYNC": "maybe"})


@pytest.mark.parametrize(("text", "count"), [("", None), ("1", 1), ("100000", 100_000)])
def test_all_log_events_stay_unless_a_number_says_how_many(text: str, count: int | None) -> None:
    settings = Settings.from_env({"KEEPER_FOLDER": "/state", "KEEPER_LOG_EVENTS": text})
    assert settings is not None
    assert settings.log_events == count


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "all", "1e5"])
def test_a_number_of_log_events_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(RefusedError, match="KEEPER_LOG_EVENTS"):
        Settings.from_env({"KEEPER_FOLDER": "/state", "KEEPER_LOG_EVENTS": text})
