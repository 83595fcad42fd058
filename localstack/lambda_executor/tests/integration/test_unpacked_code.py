"""Layers laid over one another, on a real file system."""

from pathlib import Path

from lambda_process_executor.unpacked_code import merge_layers


def layer(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / "python" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_later_layer_replaces_an_earlier_ones_file(tmp_path: Path) -> None:
    one = layer(tmp_path / "1", a="1", b="1")
    two = layer(tmp_path / "2", b="2", c="2")
    merged = merge_layers([one, two], tmp_path / "opt")
    found = {path.stem: path.read_text() for path in (merged / "python").iterdir()}
    assert found == {"a": "1", "b": "2", "c": "2"}
    assert (one / "python/b.py").read_text() == "1"


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    one = layer(tmp_path / "1", a="1")
    (one / "python/link.py").symlink_to("a.py")
    merged = merge_layers([one, layer(tmp_path / "2", z="2")], tmp_path / "opt")
    assert (merged / "python/link.py").readlink() == Path("a.py")


def test_a_merged_folder_is_made_once(tmp_path: Path) -> None:
    target = merge_layers([layer(tmp_path / "1", a="1")], tmp_path / "opt")
    assert merge_layers([tmp_path / "missing"], tmp_path / "opt") == target
