"""What README and docs say in numbers is what code and Terraform do."""

import re
from pathlib import Path
from typing import get_args

import pytest

from functions.refresh import chat_client
from movierec import settings
from movierec.lake import maintenance
from movierec.metrics import LANGUAGE_MODEL_METRICS
from movierec.releases.policy import Policy
from movierec.taste import language_model, tastes

ROOT = Path(__file__).parents[2]
TERRAFORM = ROOT / "infra" / "terraform"
README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
LANGUAGE_MODEL = ROOT / "docs" / "language-model.md"
STEPS = [f"{step:g}%" for step in Policy().steps]

# By user it would mean that the same people stay with the canary: an alias draws by request.
BY_USER = re.compile(r"(%|percent|shares?) of (its |the |all )?users\b", re.IGNORECASE)
# Of users, indeed: those who have seen a movie, those whom a model knows.
METRICS = ROOT / "src" / "movierec" / "model" / "offline_metrics.py"
TEXTS = sorted(
    path
    for folder in ("docs", "infra", "src", "functions", "proxy", "chalice_app/chalicelib")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".md", ".tf", ".py", ".svg"} and path != METRICS
)


def percents(text):
    return re.findall(r"\d+%", text)


def the_line(path, words):
    [line] = [line for line in path.read_text(encoding="utf-8").splitlines() if words in line]
    return line


def default_of(folder, variable):
    text = (TERRAFORM / folder / "variables.tf").read_text(encoding="utf-8")
    _, _, below = text.partition(f'variable "{variable}" {{\n')
    found = re.search(r"^  default += (.+)$", below, re.MULTILINE)
    assert found, variable
    return found[1].strip('"')


def test_the_picture_in_the_readme_shows_the_first_step_of_a_release():
    first = Policy().steps[0]
    assert percents(the_line(README, "Lambda alias `live`")) == [f"{100 - first:g}%", f"{first:g}%"]


def test_the_readme_says_which_shares_a_release_goes_through():
    said = the_line(README, "movierec release start")
    assert percents(said) == STEPS[:-1]
    assert re.search(r"\d+% of requests", said)


def test_the_architecture_says_which_shares_a_release_goes_through():
    assert percents(the_line(ARCHITECTURE, "start ─▶ gate")) == STEPS
    assert f"given {STEPS[0]} of the requests" in ARCHITECTURE.read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", ["modules/platform", "envs/aws", "envs/local"])
def test_the_lake_is_kept_as_often_as_the_architecture_says(folder):
    said = the_line(ARCHITECTURE, "functions/lake_maintenance/")
    minutes = re.search(r"every (\d+) minutes", said)
    assert minutes
    assert default_of(folder, "upkeep_schedule") == f"rate({minutes[1]} minutes)"


@pytest.mark.parametrize("folder", ["modules/platform", "envs/aws", "envs/local"])
def test_what_was_watched_is_kept_for_the_readmes_half_a_year(folder):
    assert "older than half a year" in README.read_text(encoding="utf-8")
    assert maintenance.DEFAULT_WATCH_RETENTION_DAYS == 180
    assert default_of(folder, "watch_retention_days") == "180"


@pytest.mark.parametrize("path", [README, *TEXTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_canarys_share_is_one_of_requests(path):
    assert not BY_USER.search(path.read_text(encoding="utf-8"))


def in_tables(path, heading):
    """Return the names in the first column of the table under a heading cell."""
    text = path.read_text(encoding="utf-8")
    _, _, below = text.partition(f"| {heading} |")
    rows = below.split("\n\n")[0].splitlines()[2:]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def test_the_language_models_page_has_every_metric_reason_and_variable():
    metrics = {metric.name for metric in LANGUAGE_MODEL_METRICS}
    assert set(in_tables(LANGUAGE_MODEL, "metric")) == metrics
    reasons = {*get_args(chat_client.Reason), *get_args(tastes.Reason), "budget_spent"}
    assert set(in_tables(LANGUAGE_MODEL, "reason")) == reasons
    named = [name for name in vars(settings) if name.startswith("LANGUAGE_MODEL_")]
    found = LANGUAGE_MODEL.read_text(encoding="utf-8")
    assert all(f"_{name.removeprefix('LANGUAGE_MODEL_')}`" in found for name in named)


@pytest.mark.parametrize("folder", ["modules/platform", "envs/aws", "envs/local"])
def test_the_language_models_defaults_are_the_same_everywhere(folder):
    text = (TERRAFORM / folder / "variables.tf").read_text(encoding="utf-8")
    budget, limit = language_model.DEFAULT_BUDGET_USD, language_model.DEFAULT_LIMIT_S
    assert f"optional(number, {budget:g})" in text
    assert f"optional(number, {limit:g})" in text
    page = LANGUAGE_MODEL.read_text(encoding="utf-8")
    assert f"dollars a day in UTC; {budget:g} if unset" in page
    assert f"a refresh may ask for; {limit:g} if unset" in page
