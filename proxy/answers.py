"""Parse and validate the API's answers."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from movierec import api_contract
from movierec.errors import UnavailableError
from movierec.model.ranking import LIST_LENGTH
from proxy.routes import ErrorResponse

Source = Literal["model", "popular", "fallback"]

FailureReason = Literal["timeout", "connect", "status", "malformed", "overload", "circuit_open"]
"""Why the API gave no answer: deadline passed; connection refused or broken; a status other than
200 or 400; a body that is no list of movies; too many requests in flight; circuit breaker open."""

# Twenty ids of the longest title known (about 100 characters) are 2 kB: anything past this is no
# list of ours, and is not read to its end.
MAX_BODY_BYTES: Final = 16_384

# What a movie id may hold is the site's business (it keeps . - * ' and writes _ for a comma); what
# it cannot hold is a separator, a blank, or what makes a body JSON, HTML or binary.
_IDS: Final = re.compile(r'[^\s,{}<>"\x00-\x1f\x7f]+(?:,[^\s,{}<>"\x00-\x1f\x7f]+)*')


class UpstreamError(UnavailableError):
    """The API gave no usable answer, for this `reason`."""

    def __init__(self, reason: FailureReason, message: str) -> None:
        super().__init__(message)
        self.reason: FailureReason = reason


@dataclass(frozen=True, slots=True)
class Answer:
    """Recommendations, best first, and where they come from.

    A fallback was answered by no function: its `function_version` is empty. `detail` is for the
    record alone, as it came: the site does not get it, and cannot tell answers apart by it.
    """

    movie_ids: tuple[str, ...]
    recommendation_id: str
    source: Source
    model_version: str
    function_version: str
    detail: str | None = field(default=None, compare=False)

    def body(self) -> bytes:
        """Return the response body: the ids on one line, comma separated."""
        return ",".join(self.movie_ids).encode()

    def headers(self) -> dict[str, str]:
        """Return the response headers that attribute the recommendations."""
        headers = {
            api_contract.RECOMMENDATION_ID: self.recommendation_id,
            api_contract.RECOMMENDATION_SOURCE: self.source,
            api_contract.MODEL_VERSION: self.model_version,
        }
        if self.function_version:
            headers[api_contract.FUNCTION_VERSION] = self.function_version
        return headers


class Api(Protocol):
    """Port: the recommendation API."""

    async def recommend(self, user_id: int) -> Answer | ErrorResponse:
        """Return what the API answers, a 400 as an ErrorResponse. Raises UpstreamError."""
        ...

    async def popular(self) -> Answer:
        """Return the popular list that everybody may see. Raises UpstreamError."""
        ...


def parse_answer(headers: Mapping[str, str], body: bytes, *, new_id: Callable[[], str]) -> Answer:
    """Return the API's 200 as an Answer. Raises UpstreamError for a malformed body.

    A header that is missing costs the answer its attribution, not the user the movies: the
    version is then recorded as "unknown", the recommendation gets a `new_id()`.
    """
    source = headers.get(api_contract.RECOMMENDATION_SOURCE, "")
    return Answer(
        movie_ids=parse_movie_ids(body),
        recommendation_id=headers.get(api_contract.RECOMMENDATION_ID) or new_id(),
        source="popular" if source == "popular" else "model",
        model_version=headers.get(api_contract.MODEL_VERSION) or "unknown",
        function_version=headers.get(api_contract.FUNCTION_VERSION) or "unknown",
        detail=headers.get(api_contract.RECOMMENDATION_DETAIL),
    )


def parse_movie_ids(body: bytes) -> tuple[str, ...]:
    """Return 1 to LIST_LENGTH distinct movie ids from one line. Raises UpstreamError."""
    try:
        text = body.decode().removesuffix("\n")
    except UnicodeDecodeError as exc:
        raise UpstreamError("malformed", "the API's body is not UTF-8") from exc
    if len(body) > MAX_BODY_BYTES or not _IDS.fullmatch(text):
        raise UpstreamError("malformed", f"the API's body is no list of movies: {text[:80]!r}")
    movie_ids = tuple(text.split(","))
    if len(movie_ids) > LIST_LENGTH or len(set(movie_ids)) < len(movie_ids):
        raise UpstreamError(
            "malformed", f"the API's list has {len(movie_ids)} movies, or one of them twice"
        )
    return movie_ids
