"""What people read of a search."""

from movierec.cli import tune

REPORT = {
    "parameters": {"alpha": 7.5, "factors": 96, "iterations": 10, "regularization": 1.1, "seed": 3},
    "tuning": {
        "objective": "NDCG@20",
        "validation": "the newest 10% of TRAIN",
        "score": 0.2345,
        "score_of_defaults": 0.2301,
        "trials": 30,
        "study": "0123456789abcdef/20261120T101500Z",
    },
}


def test_the_best_parameters_are_shown_with_how_to_use_them():
    lines = tune.lines(REPORT)
    assert lines[0] == (
        "NDCG@20 0.2345 on the newest 10% of TRAIN, defaults 0.2301; 30 trials, kept as"
        " 0123456789abcdef/20261120T101500Z"
    )
    assert "  factors 96" in lines
    assert lines[-2] == "train with them: movierec retrain --tuned"
    assert lines[-1] == (
        "or: movierec retrain --train alpha=7.5 --train factors=96 --train iterations=10"
        " --train regularization=1.1"
    )
