"""Cache of the API's popular list: the fallback when the API does not answer."""

import asyncio
import functools
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Self

from movierec.runtime import atomic_file
from proxy.answers import Answer, Api, UpstreamError, parse_movie_ids
from proxy.prometheus_metrics import PollOutcome

_log = logging.getLogger(__name__)

POLL_S: Final = 30.0

# Without any list the proxy can only answer 503 when the API fails: poll often until there is one.
POLL_WITHOUT_A_LIST_S: Final = 1.0

# Opened before the first user comes. At 20 requests/s of 10 ms each one connection is busy a fifth
# of the time; more would only start more of the API's environments than it needs.
WARM_CONNECTIONS: Final = 2

# Nobody waits for this answer, and a cold start of the API may take seconds.
POLL_TIMEOUT_S: Final = 10.0


class PopularList:
    """The cached list; `keep` stores each one that differs from its predecessor."""

    def __init__(self, current: Answer | None, keep: Callable[[Answer], None]) -> None:
        self.current = current
        self._keep = keep

    @classmethod
    def in_file(cls, path: Path) -> Self:
        """Load the list from a file, so that a restart without the API still answers."""
        return cls(_load(path), functools.partial(_save, path))

    def replace(self, answer: Answer) -> None:
        """Cache a newer list, even when storing it raises OSError."""
        old, self.current = self.current, answer
        if old is None or _content(old) != _content(answer):
            self._keep(answer)
            details = {"model_version": answer.model_version, "movies": len(answer.movie_ids)}
            _log.info("popular_list_taken", extra=details)


async def poll(api: Api, popular: PopularList, *, timeout_s: float = POLL_TIMEOUT_S) -> bool:
    """Poll the API once. Returns whether it gave a list."""
    try:
        async with asyncio.timeout(timeout_s):
            answer = await api.popular()
    except (UpstreamError, TimeoutError) as exc:
        _log.warning("popular_list_missed", extra={"why": str(exc) or f"after {timeout_s} s"})
        return False
    try:
        popular.replace(answer)
    except OSError as exc:
        _log.error("popular_list_not_kept", extra={"why": str(exc)})
    return True


async def poll_forever(
    api: Api,
    popular: PopularList,
    *,
    polled: Callable[[PollOutcome], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Poll for ever: at once, over several connections, and then every POLL_S over one.

    `polled` is called with each outcome.
    """
    polls = WARM_CONNECTIONS
    while True:
        for outcome in await asyncio.gather(*(_poll_safely(api, popular) for _ in range(polls))):
            polled(outcome)
        await sleep(POLL_S if popular.current else POLL_WITHOUT_A_LIST_S)
        polls = 1


async def _poll_safely(api: Api, popular: PopularList) -> PollOutcome:
    try:
        return "taken" if await poll(api, popular) else "missed"
    except Exception:  # noqa: BLE001  logged with its traceback
        # A background task must survive any error: the list is polled again.
        _log.exception("polling_crashed")
        return "crashed"


def _content(answer: Answer) -> tuple[tuple[str, ...], str]:
    return answer.movie_ids, answer.model_version


def _save(path: Path, answer: Answer) -> None:
    movie_ids, model_version = _content(answer)
    text = json.dumps({"movie_ids": movie_ids, "model_version": model_version})
    # Not durable: the event loop would wait for the disk, and the API gives the list again.
    atomic_file.write_whole(path, text, durable=False)


def _load(path: Path) -> Answer | None:
    """Return the stored list, or None if it is absent or damaged."""
    try:
        kept = json.loads(path.read_text())
        movie_ids = parse_movie_ids(",".join(kept["movie_ids"]).encode())
        return Answer(movie_ids, "", "fallback", str(kept["model_version"]), "")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, UpstreamError) as exc:
        _log.warning("popular_list_unreadable", extra={"path": str(path), "why": str(exc)})
        return None
