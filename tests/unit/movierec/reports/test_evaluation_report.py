"""A model's report shows the evaluation whole, and says what cannot be compared."""

from movierec.model import comparison, offline_evaluation
from movierec.model.encoding import load_npy
from movierec.model.production import Production
from movierec.model.stored_lists import StoredLists
from movierec.reports import evaluation_report
from tests.unit.movierec.model.viewers import popular, random, skewed

DATASET = skewed()
FIT = {"seconds": 2.0, "cpu_s": 3.5, "peak_memory_bytes": 4_000_000}


def sections(production=None, fitted=None):
    found = comparison.judge(
        DATASET, "als", {"als": fitted or popular(DATASET), "item_knn": random(DATASET)}, production
    )
    metrics = dict(found.evaluated.metrics)
    metrics["comparison"] = found.table(metrics, {"als": FIT})
    shown = evaluation_report.sections(metrics)
    return {title: "".join(pieces) for title, pieces in shown.items()}, metrics


def stored():
    """Return the popular model's lists as if they had been served."""
    files = offline_evaluation.judge(DATASET, popular(DATASET)).files
    users, lists = (load_npy(name, body) for name, body in files.items())
    return StoredLists.of(DATASET, users, lists, DATASET.movie_ids)


def test_every_subpopulation_metric_and_cost_has_its_place():
    shown, metrics = sections()
    assert {f"NDCG by {kind}" for kind in metrics["groups"]} <= set(shown)
    assert "artist" in shown["NDCG by occupation"]
    assert all(
        name.replace("_", " ") in shown["How metrics are defined"] for name in ("ndcg", "gini")
    )
    table = shown["Models by accuracy and cost"]
    assert "The lists of this version are those of: als" in table
    assert "fit cpu, s" in table
    assert "<td>item knn</td>" in table
    assert "Flagged" not in shown


def test_what_was_flagged_comes_first():
    shown, _ = sections(fitted=random(DATASET))
    assert next(iter(shown)) == "Flagged"


def test_production_is_described_with_what_its_lists_know():
    shown, _ = sections(Production("m1", stored(), "held out", 0))
    overall = shown["Held-out metrics of lists of 20"]
    assert "In production is m1: its held-out lists" in overall
    assert "before 1970-01-01 00:00 UTC" in overall
    assert "in production" in shown["Against other models"]


def test_without_lists_it_is_said_why_production_is_not_compared():
    shown, _ = sections(Production("m1", reason="it was trained by earlier code"))
    overall = shown["Held-out metrics of lists of 20"]
    assert "It is not compared: it was trained by earlier code." in overall
