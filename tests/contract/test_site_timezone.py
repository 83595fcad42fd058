"""The zone of the site's clock, out of the environment and the machine's time zone database."""

import pytest

from movierec import settings
from movierec.errors import ConfigError
from movierec.lake import site_clock
from movierec.lake.site_clock import FoundClock, ZoneClock


def test_the_zone_is_a_setting():
    assert isinstance(site_clock.from_env({}), FoundClock)
    assert isinstance(site_clock.from_env({settings.SITE_TIMEZONE: "Europe/Berlin"}), ZoneClock)


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "UTC+4:00"])
def test_a_zone_that_does_not_exist_is_refused_by_name(name):
    with pytest.raises(ConfigError, match="MOVIEREC_SITE_TIMEZONE"):
        site_clock.from_env({settings.SITE_TIMEZONE: name})
