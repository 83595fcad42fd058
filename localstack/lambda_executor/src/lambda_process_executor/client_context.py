"""Client context of an invocation: decode what the caller sent.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html, X-Amz-Client-Context
"""

import base64
import binascii
import json


def of(given: str | None, *, is_event: bool) -> str:
    """Return the client context as the Runtime API hands it on: one line of JSON, or nothing.

    `given` is base64 of JSON. Lambda passes it on for synchronous invocations only; what cannot
    be read is dropped.
    """
    if not given or is_event:
        return ""
    try:
        return json.dumps(json.loads(base64.b64decode(given)))
    except (binascii.Error, ValueError):
        return ""
