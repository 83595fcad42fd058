"""What a stage used is its own, not its predecessor's."""

import numpy as np
import pytest

from movierec.runtime.stage_usage import StageUsage, peak_memory_bytes

MB = 1_000_000


def test_a_stage_has_its_own_peak():
    usage = StageUsage()
    with usage.stage("large"):
        np.ones(200 * MB, np.uint8).sum()
    with usage.stage("small"):
        pass
    large, small = (usage.stages[name]["peak_memory_bytes"] for name in ("large", "small"))
    assert large - small > 100 * MB
    assert usage.peak_memory_bytes == large


def test_a_stage_that_is_measured_twice_adds_up_and_keeps_its_peak():
    usage = StageUsage()
    with usage.stage("fit"):
        np.ones(200 * MB, np.uint8).sum()
    once = dict(usage.stages["fit"])
    with usage.stage("fit"):
        sum(range(100_000))
    assert usage.stages["fit"]["seconds"] > once["seconds"]
    assert usage.stages["fit"]["cpu_s"] > once["cpu_s"]
    assert usage.stages["fit"]["peak_memory_bytes"] == once["peak_memory_bytes"]


def test_a_stage_that_fails_is_measured_too():
    usage = StageUsage()
    with pytest.raises(ValueError, match="planted"), usage.stage("fit"):
        raise ValueError("planted")
    assert usage.stages["fit"]["seconds"] >= 0


def test_without_stages_the_peak_is_the_processs():
    assert 10 * MB < StageUsage().peak_memory_bytes <= peak_memory_bytes()
