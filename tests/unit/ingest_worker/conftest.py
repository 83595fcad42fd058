import pytest

from movierec.testing.memory import FakeClock, MemoryLake


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def lake():
    return MemoryLake()
