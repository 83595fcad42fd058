"""The recommendation API's HTTP names, as the proxy asks for them and passes them on."""

from typing import Final

RECOMMENDATION_ID: Final = "X-Recommendation-Id"
RECOMMENDATION_SOURCE: Final = "X-Recommendation-Source"
MODEL_VERSION: Final = "X-Model-Version"
FUNCTION_VERSION: Final = "X-Function-Version"

RECOMMEND_PATH: Final = "/recommend/"
POPULAR_PATH: Final = "/popular"

CONTENT_TYPE: Final = "text/plain; charset=utf-8"
