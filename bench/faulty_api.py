"""Deploy the API's code with a fault that only users meet, and restore it.

Smoke tests pass and users' requests fail: no test before the release can find it.
"""

import io
import os
import urllib.request
import zipfile
from typing import Final

from movierec import settings
from movierec.aws.session import client

_FAULT: Final = """

class _Hurt(type(app)):
    def __call__(self, event, context):
        if event.get("requestContext", {{}}).get("requestId") != "smoke":
            {fault}
        return super().__call__(event, context)

# Not a new `app`: the routes use the existing one.
app.__class__ = _Hurt
"""
_FAULTS: Final = {
    "failing": 'raise RuntimeError("a fault that only users meet")',
    "slow": "__import__('time').sleep(1.0)",
}


class Code:
    """The API's code as deployed, and variants with a fault."""

    def __init__(self) -> None:
        self._aws = client("lambda")
        self._function = settings.require(os.environ, settings.API_FUNCTION)
        place = self._aws.get_function(FunctionName=self._function)["Code"]["Location"]
        with urllib.request.urlopen(place, timeout=60) as answer:  # noqa: S310  the emulator's
            self._sound: bytes = answer.read()

    def hurt(self, fault: str) -> list[str]:
        """Deploy the code with a fault, and return how to release it."""
        self._deploy(_with_fault(self._sound, fault))
        return ["--code"]

    def mend(self) -> None:
        """Deploy the code as it was."""
        self._deploy(self._sound)

    def _deploy(self, code: bytes) -> None:
        self._aws.update_function_code(FunctionName=self._function, ZipFile=code)
        self._aws.get_waiter("function_updated_v2").wait(FunctionName=self._function)


def _with_fault(code: bytes, fault: str) -> bytes:
    """Return a package whose `app.py` ends in a fault."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(code)) as sound, zipfile.ZipFile(made, "w") as faulty:
        for entry in sound.infolist():
            body = sound.read(entry)
            if entry.filename == "app.py":
                body += _FAULT.format(fault=_FAULTS[fault]).encode()
            faulty.writestr(entry, body, zipfile.ZIP_DEFLATED, 1)
    return made.getvalue()
