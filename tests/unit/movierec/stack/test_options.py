"""What a run's environment gives to its parts and to Terraform."""

import pytest

from movierec.errors import ConfigError
from movierec.stack import options

SITE = {"MOVIEREC_MIN_RATING": "0", "MOVIEREC_MAX_RATING": "10"}


def test_terraform_is_given_what_is_set_of_the_site():
    given = {**SITE, "MOVIEREC_EARLIEST_EVENT_TIME": "2021-05-01", "MOVIEREC_TOPIC": "movielog9"}
    found = options.terraform_variables(given, {}, "abc")
    assert found["site"] == {**SITE, "MOVIEREC_EARLIEST_EVENT_TIME": "2021-05-01"}


def test_terraform_is_given_nothing_of_a_site_with_the_usual_settings():
    assert options.terraform_variables({"MOVIEREC_MAX_RATING": ""}, {}, "abc")["site"] == {}


@pytest.mark.parametrize(
    ("name", "value"), [("MOVIEREC_MAX_RATING", "1"), ("MOVIEREC_EARLIEST_EVENT_TIME", "soon")]
)
def test_a_setting_that_no_function_could_read_is_refused_before_anything_starts(name, value):
    with pytest.raises(ConfigError, match=name):
        options.terraform_variables({name: value}, {}, "abc")
