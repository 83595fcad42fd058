"""A language model is off by default; where it is set, the refresh has all of it, and no more."""

import json

import pytest

from movierec import settings
from movierec.stack import options
from movierec.taste.language_model import LanguageModel
from tests.infra.conftest import FUNCTIONS

SECRET = "arn:aws:secretsmanager:us-east-1:000000000000:secret:language-model-AbCdEf"
RUN = {
    settings.LANGUAGE_MODEL_URL: "https://models.example/v1",
    settings.LANGUAGE_MODEL_NAME: "small",
    settings.LANGUAGE_MODEL_PROMPT_USD: "0.15",
    settings.LANGUAGE_MODEL_COMPLETION_USD: "0.6",
    settings.LANGUAGE_MODEL_BUDGET_USD: "2.5",
    settings.LANGUAGE_MODEL_API_KEY_SECRET: SECRET,
}


def refresh_in(plan):
    """Return the refresh's environment and the permissions by their ids."""
    found = {}

    def walk(module):
        for resource in module.get("resources", []):
            if '["refresh"]' in resource["address"]:
                found[resource["type"]] = resource["values"]
        for child in module.get("child_modules", []):
            walk(child)

    walk(plan["planned_values"]["root_module"])
    [environment] = found["aws_lambda_function"]["environment"]
    statements = json.loads(found["aws_iam_role_policy"]["policy"])["Statement"]
    return environment["variables"], {one["Sid"]: one for one in statements}


@pytest.fixture(scope="module")
def with_model(tmp_path_factory, plan_of):
    folder = tmp_path_factory.mktemp("plan")
    packages = {name: folder / f"{name}.zip" for name in FUNCTIONS}
    for path in packages.values():
        path.write_bytes(path.name.encode())
    given = options.terraform_variables(RUN, {}, "0123456789ab")
    named = {name: given[name] for name in ("language_model", "language_model_api_key")}
    return plan_of(folder, packages, **named)


def test_without_one_the_refresh_knows_of_none(plan):
    environment, may = refresh_in(plan)
    assert LanguageModel.from_env(environment) is None
    assert not {"KeepTastes", "ListSpending", "ReadKey"} & may.keys()


def test_the_refresh_is_given_what_the_runs_environment_says(with_model):
    environment, _ = refresh_in(with_model)
    assert LanguageModel.from_env(environment) == LanguageModel.from_env(RUN)
    assert environment[settings.LANGUAGE_MODEL_API_KEY_SECRET] == SECRET


def test_it_may_keep_answers_and_read_one_secret(with_model):
    _, may = refresh_in(with_model)
    assert may["KeepTastes"]["Resource"] == ["arn:aws:s3:::movierec-artifacts/tastes/*"]
    assert may["ListSpending"]["Condition"] == {"StringLike": {"s3:prefix": ["tastes/spending/*"]}}
    assert may["ReadKey"]["Action"] == ["secretsmanager:GetSecretValue"]
    assert may["ReadKey"]["Resource"] == [SECRET]
