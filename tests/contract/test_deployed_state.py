"""What a run has deployed, as one command leaves it to the next."""

import pytest

from movierec.errors import ConfigError, UnavailableError
from movierec.stack.deploy import deployed_state
from movierec.stack.deploy.deployed_state import Changes, Deployment
from movierec.stack.services.emulator import Kept

NOTHING = Kept(generation=0, saved_at_s=None, unsaved=(), lost=())
SAVED = Kept(generation=7, saved_at_s=1.0, unsaved=(), lost=())


def deploy(run, kept=NOTHING, **parts):
    """Deploy parts as `movierec up` does; return those that had to be made."""
    changes = Changes(run)
    made = [part for part, made_from in parts.items() if not changes.has(part, made_from, kept)]
    changes.finish(lambda: SAVED)
    return made


def test_what_is_deployed_and_unchanged_is_not_made_again(run):
    assert deploy(run, api="a1", terraform="t1") == ["api", "terraform"]
    assert deploy(run, SAVED, api="a1", terraform="t1") == []


def test_of_what_is_deployed_only_what_has_changed_is_made_again(run):
    deploy(run, api="a1", terraform="t1")
    assert deploy(run, SAVED, api="a2", terraform="t1") == ["api"]
    assert deploy(run, SAVED, api="a2", terraform="t1") == []


@pytest.mark.parametrize(
    "kept",
    [NOTHING, Kept(6, 1.0, (), ()), Kept(8, 1.0, (), ("lambda",))],
    ids=["a new one", "one that has lost its last state", "one that has lost a service"],
)
def test_in_an_emulator_without_all_that_was_deployed_everything_is_made_again(run, kept):
    deploy(run, api="a1", terraform="t1")
    assert deploy(run, kept, api="a1", terraform="t1") == ["api", "terraform"]


def test_what_was_begun_and_not_finished_is_made_again(run):
    """Also when it is to be what it was before: half of the other may be there."""
    deploy(run, api="a1", terraform="t1")
    Changes(run).has("terraform", "t2", SAVED)
    assert deploy(run, SAVED, api="a1", terraform="t1") == ["terraform"]


def test_what_the_emulator_has_not_saved_is_made_again(run):
    def full_disk():
        raise UnavailableError("no room")

    changes = Changes(run)
    changes.has("api", "a1", NOTHING)
    with pytest.raises(UnavailableError):
        changes.finish(full_disk)
    assert deploy(run, SAVED, api="a1") == ["api"]


def test_where_nothing_was_made_the_emulator_need_not_save(run):
    deploy(run, api="a1")
    changes = Changes(run)
    assert changes.has("api", "a1", SAVED)
    changes.finish(lambda: pytest.fail("saved"))


def test_what_a_part_has_told_is_known_to_the_next_command(run):
    changes = Changes(run)
    changes.has("api", "a1", NOTHING)
    changes.add_outputs({"URL": "http://there"})
    changes.finish(lambda: SAVED)
    assert Changes(run).outputs == {"URL": "http://there"}


@pytest.mark.parametrize("text", ["", "[]", '{"generation": 1, "others": {}}'])
def test_a_file_that_says_something_else_is_refused_with_what_to_do(run, text):
    (run.folder / "deployed.json").write_text(text)
    with pytest.raises(ConfigError, match="delete it, and `movierec up` deploys again"):
        deployed_state.load(run)


def test_a_deployment_is_read_as_it_was_written(run):
    deployed = Deployment(3, {"api": "a1"}, {"URL": "http://there"})
    deployed_state.save(run, deployed)
    assert deployed_state.load(run) == deployed
