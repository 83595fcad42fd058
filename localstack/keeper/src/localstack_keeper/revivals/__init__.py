"""What a service needs beside its state to do what it did before: a module each."""

from typing import Any, Final

RESTARTED_ERROR: Final = "Emulator.Restarted"
RESTARTED_CAUSE: Final = "The emulator was stopped or ended while this execution was running"

Provider = Any
"""A service's provider."""
