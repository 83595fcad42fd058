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


LANGUAGE_MODEL = {
    "MOVIEREC_LANGUAGE_MODEL_URL": "http://127.0.0.1:11434/v1",
    "MOVIEREC_LANGUAGE_MODEL_NAME": "small",
    "MOVIEREC_LANGUAGE_MODEL_PROMPT_USD": "0",
    "MOVIEREC_LANGUAGE_MODEL_COMPLETION_USD": "0",
    "MOVIEREC_LANGUAGE_MODEL_API_KEY": "sk-1",
}


def test_a_language_model_is_off_unless_it_is_named():
    found = options.terraform_variables({}, {}, "abc")
    assert (found["language_model"], found["language_model_api_key"]) == (None, "")


def test_terraform_is_given_the_language_model_that_is_set():
    found = options.terraform_variables(LANGUAGE_MODEL, {}, "abc")
    assert found["language_model"] == {
        "url": "http://127.0.0.1:11434/v1",
        "name": "small",
        "prompt_usd": "0",
        "completion_usd": "0",
    }
    assert found["language_model_api_key"] == "sk-1"


@pytest.mark.parametrize("name", ["NAME", "PROMPT_USD", "COMPLETION_USD"])
def test_a_language_model_without_a_name_or_a_price_is_refused(name):
    variable = f"MOVIEREC_LANGUAGE_MODEL_{name}"
    with pytest.raises(ConfigError, match=variable):
        options.terraform_variables(LANGUAGE_MODEL | {variable: ""}, {}, "abc")
