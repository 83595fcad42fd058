"""The recommendation API's HTTP names: paths, headers, content types.

API, proxy, smoke test and simulated site agree on them.
"""

from typing import Final

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

CONTENT_TYPE: Final = "Content-Type"
TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
