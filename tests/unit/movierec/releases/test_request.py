"""What a release is asked for, and which model that means."""

from typing import Any

import pytest

from movierec.errors import UsageError
from movierec.releases.orchestrator import Orchestrator
from movierec.releases.request import Request
from tests.unit.movierec.releases.release_lab import M1, M2, M3, Lab, put_model


def test_the_newest_model_is_released_unless_another_is_named(lab: Lab) -> None:
    put_model(lab.store, M3)

    assert Orchestrator(lab.releases).check(lab.begin()).model_version == M3
    lab.clock.advance(3_600)
    assert Orchestrator(lab.releases).check(lab.begin(Request(M2))).model_version == M2


def test_new_code_goes_out_with_the_stable_model(lab: Lab) -> None:
    lab.function.deploy()
    release = lab.tested(Request(code=True))

    found = lab.releases.state_of(release)
    assert (found.model_version, found.version) == (M1, "2")


def test_a_request_is_read_from_what_the_state_machine_is_given() -> None:
    assert Request.read({}) == Request()
    read = Request.read({"model_version": M1, "code": False, "again": True})
    assert read == Request(M1, code=False, again=True)


@pytest.mark.parametrize("values", [{"code": 1}, {"again": "yes"}, {"model": M1}])
def test_a_request_of_another_form_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(values))):
        Request.read(values)
