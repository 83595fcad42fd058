from pathlib import Path

import pytest

from movierec.errors import UsageError
from movierec.stack.layout import Project

PROJECT = Project(Path("/repo"))


def test_a_run_has_a_folder_of_its_own():
    run = PROJECT.run("one")
    assert run.folder == Path("/repo/var/one")
    assert run.name == "one"
    places = {run.logs, run.kafka, run.emulator, run.terraform, run.chalice, run.proxy, run.site}
    assert len(places) == 7
    assert all(place.parent == run.folder for place in places)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", "a b", "-x", "x" * 41, "a\n"])
def test_a_name_that_could_leave_the_folder_is_refused(name):
    with pytest.raises(UsageError, match="run name"):
        PROJECT.run(name)
