"""HTTP client: GET requests, with failures as MovierecError."""

import http.client
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.error import HTTPError, URLError

from movierec.errors import UnavailableError, UsageError

# Ignores HTTP_PROXY and the like: site and recommender are reached directly.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def opened(url: str, *, timeout_s: float, next_step: str) -> Iterator[Any]:
    """GET a URL; the response is open during the block.

    Raises UsageError for an invalid URL, UnavailableError, whose message ends in `next_step`, when
    there is no response or only half of one, and urllib's HTTPError for an error status.
    """
    try:
        with _OPENER.open(url, timeout=timeout_s) as answer:
            yield answer
    except HTTPError:
        raise
    except (ValueError, http.client.InvalidURL) as exc:
        raise UsageError(f"{url}: {exc}; name a URL such as http://127.0.0.1:8080") from exc
    except (OSError, http.client.HTTPException) as exc:
        reason = exc.reason if isinstance(exc, URLError) else exc
        raise UnavailableError(f"{url}: no answer ({reason}); {next_step}") from exc
