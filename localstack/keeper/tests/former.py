"""State folders that a former version wrote, see `fixtures/README.md`."""

import tarfile
from pathlib import Path

FIXTURES = Path(__file__).with_name("fixtures")


def unpack(name: str, target: Path) -> Path:
    """Unpack a state folder and return it."""
    with tarfile.open(FIXTURES / f"{name}.tar.xz") as archive:
        archive.extractall(target, filter="data")
    return target / "state"
