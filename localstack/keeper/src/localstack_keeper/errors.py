"""What can go wrong with kept state. Each message says where, what, and what to do."""


class KeeperError(Exception):
    """State cannot be kept or restored."""


class RefusedError(KeeperError):
    """The folder must not be used by this emulator: it does not start."""


class DamagedError(KeeperError):
    """A file is not what was written."""
