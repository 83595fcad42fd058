"""What can go wrong before a function runs."""


class ExecutorError(Exception):
    """A function cannot be run here. The message says why, and what to do."""
