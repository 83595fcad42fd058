"""The sections on predicted ratings of a model's report."""

from collections.abc import Mapping, Sequence
from typing import Any

from movierec.reports import html


def sections(rating: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the sections for what `rating_evaluation` found; with too few ratings, one line."""
    if not rating["train_ratings"]:
        reason = "Nobody had rated a movie before the held-out time: no ratings are predicted."
        return {"Predicted ratings": [html.paragraph(reason)]}
    lists = {"Predicted ratings of the lists": _lists(rating["lists"])}
    if not rating["test_ratings"]:
        reason = "No rating was held out: the predicted ones cannot be checked."
        return {"Predicted ratings": [html.paragraph(reason)], **lists}
    return {
        "Predicted ratings": _errors(rating),
        "Calibration of predicted ratings": [_calibration(rating["calibration"])],
        **{f"RMSE by {kind}": [_groups(found)] for kind, found in rating["groups"].items()},
        **lists,
    }


def _errors(rating: Mapping[str, Any]) -> list[str]:
    gain = rating["gain"]
    stopped = ", stopped early for lack of time" if rating.get("truncated") else ""
    names = {"model": "rating model", "baseline": "mean and biases", "mean": "mean rating"}
    rows = [[name, rating[key]["rmse"], rating[key]["mae"]] for key, name in names.items()]
    return [
        html.paragraph(
            f"{rating['test_ratings']:,} held-out ratings, {rating['train_ratings']:,} to learn"
            f" from{stopped}; the mean squared error is {gain['mean']:.4f}"
            f" ± {1.96 * gain['stderr']:.4f} below that of the biases"
        ),
        html.table(["", "RMSE", "MAE"], rows),
    ]


def _calibration(buckets: Sequence[Mapping[str, Any]]) -> str:
    rows: list[list[html.Cell]] = [
        [f"{b['from']:g} to {b['to']:g}", b["ratings"], b["predicted"], b["given"]] for b in buckets
    ]
    return html.table(["predicted", "ratings", "mean predicted", "mean given"], rows)


def _groups(groups: Mapping[str, Any]) -> str:
    rows: list[list[html.Cell]] = [
        [name, g["ratings"], g["model"]["rmse"], g["baseline"]["rmse"], g["model"]["mae"]]
        for name, g in groups.items()
    ]
    return html.table(["", "ratings", "RMSE", "mean and biases", "MAE"], rows)


def _lists(lists: Mapping[str, Any]) -> list[str]:
    ours, theirs = lists["model"], lists["popularity"]
    return [
        html.paragraph(f"Share of the movies in the lists of {lists['users']:,} users"),
        html.bars(ours["distribution"], rivals=theirs["distribution"]),
        html.table(
            ["", "mean predicted rating"],
            [["model", ours["mean"]], ["popular list", theirs["mean"]]],
        ),
    ]
