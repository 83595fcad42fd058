"""A case that does not say which page of AWS it holds is no case of conformance."""

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = re.compile(r"^https://docs\.aws\.amazon\.com/(lambda|AmazonCloudWatch)/\S+$", re.MULTILINE)
MODULES = sorted(path for path in HERE.glob("test_*.py") if path != Path(__file__))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_every_case_cites_the_page_that_it_holds(module: Path) -> None:
    tree = ast.parse(module.read_text())
    cases = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert cases
    assert [case.name for case in cases if not PAGE.search(ast.get_docstring(case) or "")] == []
