import pytest

from simulator import world


@pytest.fixture(scope="session")
def small_world():
    """Return a world of 300 users and 800 films."""
    return world.generate(300, 800, 7)
