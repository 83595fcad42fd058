import pytest

from simulator import synthetic_world


@pytest.fixture(scope="session")
def small_world():
    """Return a world of 300 users and 800 films."""
    return synthetic_world.generate(300, 800, 7)
