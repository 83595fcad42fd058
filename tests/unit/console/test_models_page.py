"""Models: the table, two compared, one with its data set and drift, and the stored reports."""

import pytest

from movierec.model import dataset, sealed_folder
from tests.unit.console import recorded
from tests.unit.console.recorded import MODEL, NEW_MODEL, OLD_MODEL


def test_models_are_listed_with_gate_metrics_and_release(browse, busy):
    found = browse(busy).get("/models").panel("list")

    assert "2026-11-20 03:15:00 a91be44 canary passed 6,240 0.1479" in found
    assert "2026-11-19 03:15:00 77ab310 stable passed" in found
    assert "blend 20261119T160030000Z" in found
    assert "refused NDCG gain 0.0010, less than 0.0050" in found


def test_stable_and_newest_are_compared_unless_others_are_asked_for(browse, busy):
    browser = browse(busy)
    first = browser.get("/models").panel("compared")
    assert "Comparable: the second was evaluated beside the first" in first
    assert "NDCG: the other has +0.0031 (+0.0009 to +0.0052, 2,000 users)" in first
    assert "fit s 42 43" in first

    page = browser.get(f"/models?one={OLD_MODEL}&other={NEW_MODEL}")
    assert "Not comparable: they were evaluated on different data" in page.panel("compared")
    assert f'<option value="{OLD_MODEL}" selected>' in page.text


def test_one_model_is_shown_with_what_it_was_made_of(browse, busy):
    page = browse(busy).get(f"/models?model={MODEL}")
    found = page.panel("chosen")

    assert MODEL in found
    assert "factors 64" in found
    assert "Lake versions events 4,412" in found
    assert f"/documents/models/report/{MODEL}" in page.text


def test_a_model_whose_data_set_is_gone_says_so(browse, busy):
    for name in (sealed_folder.MANIFEST_FILE, "report.json"):
        del busy.store.objects[dataset.key("d7e01c35", name)]

    page = browse(busy).get("/models")

    assert "It is no longer stored." in page.panel("chosen")
    assert "There is no data set's report" in page.panel("drift")


def test_drift_has_a_level_in_words(browse, busy):
    found = browse(busy).get("/models").panel("drift")

    assert "ratings the same 0.012" in found
    assert "hours moved 0.143" in found
    assert "genres moved far 0.31" in found
    assert "Anime" in found


def test_a_model_that_is_none_is_said_to_be_none(browse, busy):
    page = browse(busy).get("/models?model=nothing")

    assert "there is no model 'nothing'" in page.panel("chosen")
    assert "2026-11-20 03:15:00" in page.panel("list")


def test_without_models_it_says_what_to_do(browse):
    page = browse(recorded.empty()).get("/models")

    for panel in ("list", "compared", "chosen"):
        assert "movierec retrain" in page.panel(panel)


@pytest.mark.parametrize(
    ("path", "title"), [(f"report/{MODEL}", "Model"), ("dataset/d7e01c35", "Data")]
)
def test_a_stored_report_runs_nothing(browse, busy, path, title):
    found = browse(busy).get(f"/documents/models/{path}")

    assert found.status == 200
    assert f"<title>{title}</title>" in found.text
    policy = found.header("content-security-policy")
    assert policy.endswith("sandbox")
    assert "script" not in policy


@pytest.mark.parametrize("path", ["report/..%2Fx", "report/a/b", "nothing/d7e01c35"])
def test_an_address_of_no_report_is_none(browse, busy, path):
    assert browse(busy).get(f"/documents/models/{path}").status == 404


def test_a_report_that_is_not_stored_says_so(browse, busy):
    found = browse(busy).get("/documents/models/report/nothing")

    assert found.status == 404
    assert browse(busy.fail()).get(f"/documents/models/report/{MODEL}").status == 502
