"""The released model is the stable version's, not the canary's."""

from movierec.releases.released_model import released_model
from movierec.releases.traffic_split import TrafficSplit
from movierec.testing.releases import MemoryFunction


def test_without_a_function_an_alias_or_a_model_none_is_released():
    function = MemoryFunction()
    assert released_model(function) is None


def test_it_is_the_model_of_the_stable_version():
    function = MemoryFunction()
    function.deploy()
    first, second = (function.publish(model, "r1") for model in ("m1", "m2"))
    assert released_model(function) is None
    function.update_alias(TrafficSplit(first), "r1", over=None)
    assert released_model(function) == "m1"
    function.force_update(TrafficSplit(first, second, 5.0), "r2")
    assert released_model(function) == "m1"
    function.force_update(TrafficSplit(second), "r2")
    assert released_model(function) == "m2"
