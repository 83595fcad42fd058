"""Progress of a `terraform apply`, reduced from its JSON event stream.

Pure: `terraform.py` reads the messages. What they look like:
https://developer.hashicorp.com/terraform/internals/machine-readable-ui
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from movierec.errors import UsageError


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an apply is. Addresses are Terraform's: `module.a.aws_s3_bucket.this["lake"]`."""

    planned: bool = False
    """Whether the plan is made, so that every address to come is known."""
    found: frozenset[str] = frozenset()
    """What there was before."""
    pending: frozenset[str] = frozenset()
    """What is to be created or changed, and is not yet."""
    done: frozenset[str] = frozenset()
    """What has been created or changed."""
    failed: frozenset[str] = frozenset()
    errors: tuple[str, ...] = ()
    """A line each: address, summary and detail."""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """Values of the outputs, at the end."""
    over: bool = False
    """Whether Terraform has ended."""

    def is_ready(self, address: str) -> bool:
        """Say whether a resource, or all that a module or a `for_each` holds, is there.

        Raises UsageError when nothing has such an address.
        """
        if not self.planned:
            return False
        known = self.found | self.pending | self.done | self.failed
        if not any(_within(address, one) for one in known):
            raise UsageError(f"no resource has the address {address}: see infra/terraform")
        return not any(_within(address, one) for one in self.pending | self.failed)


def _within(address: str, resource: str) -> bool:
    return resource == address or resource.startswith((f"{address}.", f"{address}["))


def advance(progress: Progress, message: Mapping[str, Any]) -> Progress:
    """Return the progress after one message of `terraform apply -json`."""
    changes: dict[str, Any] = {}
    match message:
        case {"type": "refresh_complete", "hook": {"resource": {"addr": str(address)}}}:
            changes = {"found": progress.found | {address}}
        case {
            "type": "planned_change",
            "change": {
                "action": "create" | "update" | "replace",
                "resource": {"addr": str(address)},
            },
        }:
            changes = {"pending": progress.pending | {address}}
        case {"type": "change_summary", "changes": {"operation": "plan"}}:
            changes = {"planned": True}
        case {"type": "apply_errored", "hook": {"resource": {"addr": str(address)}}}:
            changes = {"failed": progress.failed | {address}}
        case {"type": "apply_complete", "hook": {"action": "delete"}}:
            pass  # the first half of a replacement, or what was no longer wanted
        case {"type": "apply_complete", "hook": {"resource": {"addr": str(address)}}}:
            done = {address}
            changes = {"pending": progress.pending - done, "done": progress.done | done}
        case {"type": "diagnostic", "diagnostic": {"severity": "error"} as said}:
            parts = (said.get("address", ""), said["summary"], said.get("detail", ""))
            error = ": ".join(" ".join(part.split()) for part in parts if part)
            changes = {"errors": (*progress.errors, error)}
        case {"type": "outputs", "outputs": outputs}:
            # Told after the plan as well, without the values.
            values = {name: each["value"] for name, each in outputs.items() if "value" in each}
            changes = {"outputs": values}
    return replace(progress, **changes)
