"""Fixture: a release lab in memory."""

import pytest

from tests.unit.movierec.releases.release_lab import M1, Lab


@pytest.fixture
def lab() -> Lab:
    """Return one whose function serves M1 to everybody."""
    found = Lab()
    found.serve(M1)
    return found
