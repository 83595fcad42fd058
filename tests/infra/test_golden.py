"""What was recorded of Terraform still is what Terraform would say."""

import json
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("recording", ["create", "update"])
def test_every_alarm_that_was_recorded_is_one_that_is_planned(recording, resources):
    text = (GOLDEN / f"terraform_apply_{recording}.jsonl").read_text(encoding="utf-8")
    told = [m["outputs"] for m in map(json.loads, text.splitlines()) if m["type"] == "outputs"]
    planned = {v["alarm_name"] for kind, _, v in resources if kind == "aws_cloudwatch_metric_alarm"}

    recorded = told[-1]["alarm_names"]["value"]

    assert recorded
    assert set(recorded) <= planned
