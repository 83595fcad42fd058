"""The end of all sandboxes."""

from typing import cast

from lambda_process_executor.sandbox import Sandbox, SandboxRegistry


class FakeSandbox:
    """Notes what is asked of it."""

    def __init__(self, calls: list[str]) -> None:
        self._calls = calls

    def kill(self) -> None:
        """Note it."""
        self._calls.append("kill")

    def stop(self, *, now: bool) -> None:
        """Note it."""
        assert now
        self._calls.append("stop")


def fake(calls: list[str]) -> Sandbox:
    return cast("Sandbox", FakeSandbox(calls))


def test_all_are_killed_before_the_first_is_waited_for() -> None:
    calls: list[str] = []
    registry, sandboxes = SandboxRegistry(), [fake(calls) for _ in range(3)]
    for sandbox in sandboxes:
        registry.add(sandbox)
    assert calls == []
    registry.close()
    assert calls == ["kill"] * 3 + ["stop"] * 3


def test_a_sandbox_that_comes_after_the_end_is_stopped_at_once() -> None:
    calls: list[str] = []
    registry, late = SandboxRegistry(), fake(calls)
    registry.close()
    registry.add(late)
    assert calls == ["stop"]


def test_a_sandbox_that_comes_after_a_stop_of_those_before_it_is_left_alone() -> None:
    """LocalStack stops its Lambda service before it loads state, and goes on."""
    before: list[str] = []
    after: list[str] = []
    registry, earlier, late = SandboxRegistry(), fake(before), fake(after)
    registry.add(earlier)
    registry.stop_all()
    registry.add(late)
    assert (before, after) == (["kill", "stop"], [])


def test_a_sandbox_that_nobody_uses_any_more_is_forgotten() -> None:
    calls: list[str] = []
    registry = SandboxRegistry()
    registry.add(fake(calls))
    registry.close()
    assert calls == []
