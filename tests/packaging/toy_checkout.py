"""The real checkout, and small ones of one function, an API and a library of four modules."""

from pathlib import Path

from movierec.stack.layout import Project
from movierec.stack.packaging import lambda_packages

ROOT = Path(__file__).parents[2]
PROJECT = Project(ROOT)
FUNCTIONS = lambda_packages.function_names(PROJECT)

CODE = {
    "functions/echo/handler.py": """import typing_extensions

import movierec


def handler(event, context):
    return event
""",
    "chalice_app/app.py": "from movierec.model import ranking\n",
    "src/movierec/__init__.py": '"""A library."""\n',
    "src/movierec/cli/main.py": "from movierec.reports import page\n",
    "src/movierec/model/__init__.py": "",
    "src/movierec/model/ranking.py": "x = 1\n",
    "src/movierec/reports/__init__.py": "",
    "src/movierec/reports/page.py": "COLOUR = 1\n",
}


def make_checkout(root):
    """Make a checkout whose locks hold one requirement of the real API's."""
    real = (ROOT / "chalice_app" / "vendor.txt").read_text(encoding="utf-8")
    lock = real[real.index("typing-extensions==") :]
    locks = dict.fromkeys(("functions/echo/requirements.txt", "chalice_app/vendor.txt"), lock)
    for name, text in {**CODE, **locks}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Project(root)
