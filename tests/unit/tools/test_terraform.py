from pathlib import Path

import pytest

from tools import terraform


@pytest.mark.parametrize(
    ("text", "version"),
    [("1.11.4", (1, 11, 4)), ("1.9.0-beta1", (1, 9, 0)), ("", ()), ("latest", ())],
)
def test_a_version_is_read_by_number(text, version):
    assert terraform.parse_version(text) == version


@pytest.mark.parametrize(
    ("version", "usable"),
    [
        ((1, 6, 0), True),
        ((1, 11, 4), True),
        ((1, 5, 7), False),
        ((0, 15, 5), False),
        ((2, 0, 0), False),
        ((), False),
    ],
)
def test_terraform_1_6_and_later_will_do(version, usable):
    assert terraform.usable(version) is usable


def test_with_a_mirror_nothing_is_asked_of_the_network():
    text = terraform.configuration(Path("/opt/mirror"), Path("/cache"))
    assert 'path = "/opt/mirror"' in text
    assert "direct" not in text
    assert "plugin_cache_dir" not in text


def test_without_a_mirror_a_provider_is_fetched_once_for_all_runs():
    text = terraform.configuration(None, Path("/cache"))
    assert 'plugin_cache_dir = "/cache"' in text
    assert "provider_installation" not in text


def test_every_release_has_a_whole_checksum():
    assert terraform.SHA256
    assert all(len(bytes.fromhex(found)) == 32 for found in terraform.SHA256.values())
