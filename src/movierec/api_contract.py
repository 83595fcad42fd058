"""The recommendation API's HTTP names: paths, headers, content types.

API, proxy, smoke test and simulated site agree on them.
"""

import json
from collections.abc import Mapping
from typing import Final, Never

RECOMMEND_PATH: Final = "/recommend/"
"""A user id follows."""
POPULAR_PATH: Final = "/popular"
VERSION_PATH: Final = "/version"
HEALTH_PATH: Final = "/healthz"
METRICS_PATH: Final = "/metrics"
"""The proxy's alone."""

MODEL_VERSION: Final = "X-Model-Version"
FUNCTION_VERSION: Final = "X-Function-Version"
RECOMMENDATION_ID: Final = "X-Recommendation-Id"
RECOMMENDATION_SOURCE: Final = "X-Recommendation-Source"
RECOMMENDATION_DETAIL: Final = "X-Recommendation-Detail"
"""From the API to the proxy alone, which keeps it as `served.detail`; see `dump_detail`."""

CONTENT_TYPE: Final = "Content-Type"
TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"

MAX_DETAIL_BYTES: Final = 4096
"""API Gateway takes 10,240 bytes for all headers of a response."""

_DETAIL_FORMAT: Final = 1


def dump_detail(facts: Mapping[str, object]) -> str:
    """Return facts about a recommendation as one line of JSON, in ASCII: `{"v":1,...}`.

    `v` is the format; facts may be added under the same one. Raises ValueError if they are too
    large, TypeError or ValueError if they are no JSON.
    """
    text = json.dumps({"v": _DETAIL_FORMAT, **facts}, separators=(",", ":"), allow_nan=False)
    if len(text) > MAX_DETAIL_BYTES:
        raise ValueError(f"a detail of {len(text)} bytes: at most {MAX_DETAIL_BYTES} are sent")
    return text


def is_detail(text: str) -> bool:
    """Return whether a text is a detail, of this format or a later one."""
    if len(text) > MAX_DETAIL_BYTES or not text.isascii():
        return False
    try:
        facts = _STRICT_JSON.decode(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(facts, dict) and type(facts.get("v")) is int and facts["v"] >= _DETAIL_FORMAT


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is no JSON")


# Python reads NaN and Infinity as well, which stop other readers of the lake.
_STRICT_JSON: Final = json.JSONDecoder(parse_constant=_refuse)
