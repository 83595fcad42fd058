import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_module_of_the_pure_library_is_held_to_the_contract():
    """A new module that the contract does not name would escape it."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = config["tool"]["importlinter"]["contracts"]
    (pure,) = [c for c in contracts if c["name"].startswith("the pure library")]
    modules = {f"movierec.{p.stem}" for p in (ROOT / "src/movierec").glob("*.py")}
    assert set(pure["source_modules"]) == modules - {"movierec.__init__"}
