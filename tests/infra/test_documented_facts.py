"""What README and docs say in numbers is what code and Terraform do."""

import re
from pathlib import Path

import pytest

from movierec.lake import maintenance
from movierec.releases.policy import Policy

ROOT = Path(__file__).parents[2]
TERRAFORM = ROOT / "infra" / "terraform"
README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
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
