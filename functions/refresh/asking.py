"""Ask a language model for texts: a few at once, within a run's time and what it has reserved.

A text that is not answered for any reason is left to a later run.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from functions.refresh.chat_client import Failed, Post
from movierec.model.texts import Description
from movierec.taste.language_model import Answer, LanguageModel, read_completion
from movierec.taste.spending import Spent
from movierec.taste.stored_answers import Outcome
from movierec.taste.tastes import Refused

AT_ONCE: Final = 4

_LONGEST_REQUEST_S: Final = 15.0
# The time may end between two looks at the clock.
_SHORTEST_REQUEST_S: Final = 0.1

# A server that is down costs a run three requests, not its time.
_MOST_FAILURES_IN_A_ROW: Final = 3

_FIRST_WAIT_S: Final = 0.5

# Of sums of prices: less than a token costs.
_ROUNDING_USD: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Timing:
    """Where time comes from, in seconds."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


@dataclass(slots=True)
class Asked:
    """What a run has asked for."""

    spent: Spent = field(default_factory=Spent)
    answered: dict[str, Outcome] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)


class Round:
    """The requests of one run; its threads share what follows."""

    def __init__(
        self,
        model: LanguageModel,
        post: Post,
        timing: Timing,
        *,
        reserved_usd: float,
        keep: Callable[[str, Outcome], None],
    ) -> None:
        self._model, self._post, self._timing, self._keep = model, post, timing, keep
        self._until = timing.now() + model.limit_s
        self._left_usd = reserved_usd
        self._resume = 0.0
        self._failed_in_a_row = 0
        self._rate_limits_in_a_row = 0
        self._given_up = False
        self._lock = threading.Lock()
        self.asked = Asked()

    def run(self, wanted: Mapping[str, Description]) -> None:
        """Ask for texts by their digests, as far as time and money go.

        Raises what `keep` raises, when all requests have ended.
        """
        with ThreadPoolExecutor(AT_ONCE, "language-model") as pool:
            for done in [pool.submit(self._ask, *one) for one in wanted.items()]:
                done.result()

    def _ask(self, digest: str, description: Description) -> None:
        request = self._model.request(description)
        most_usd = self._model.most_usd(request)
        while self._may_go_on() and self._take(most_usd):
            left_s = max(_SHORTEST_REQUEST_S, self._until - self._timing.now())
            reply = self._reply(request, min(left_s, _LONGEST_REQUEST_S))
            if isinstance(reply, Answer):
                self._settle(most_usd, reply)
                self._keep(digest, reply.outcome)
                with self._lock:
                    self.asked.answered[digest] = reply.outcome
                return
            self._fail(most_usd, reply)
            if reply.reason != "rate_limited":
                return

    def _reply(self, request: bytes, timeout_s: float) -> Answer | Failed:
        body = self._post(request, timeout_s)
        if isinstance(body, Failed):
            return body
        return read_completion(body) or Failed("no_completion", billed=True)

    def _may_go_on(self) -> bool:
        """Wait for as long as the server asks; return whether there is time then."""
        while not self._given_up:
            now = self._timing.now()
            if max(now, self._resume) >= self._until:
                return False
            if now >= self._resume:
                return True
            self._timing.sleep(self._resume - now)
        return False

    def _take(self, usd: float) -> bool:
        with self._lock:
            if usd > self._left_usd + _ROUNDING_USD:
                return False
            self._left_usd -= usd
            return True

    def _settle(self, most_usd: float, answer: Answer) -> None:
        usage = answer.usage
        usd = most_usd if usage is None else self._model.usd(usage)
        tokens = (0, 0) if usage is None else (usage.prompt_tokens, usage.completion_tokens)
        with self._lock:
            self._failed_in_a_row = self._rate_limits_in_a_row = 0
            self._left_usd += most_usd - usd
            self.asked.spent += Spent(usd, 1, *tokens)
            if isinstance(answer.outcome, Refused):
                self.asked.failures[answer.outcome.reason] += 1

    def _fail(self, most_usd: float, failed: Failed) -> None:
        with self._lock:
            usd = most_usd if failed.billed else 0.0
            self._left_usd += most_usd - usd
            self.asked.spent += Spent(usd, 1)
            self.asked.failures[failed.reason] += 1
            if failed.reason == "rate_limited":
                wait_s = max(failed.retry_after_s, _FIRST_WAIT_S * 2**self._rate_limits_in_a_row)
                self._rate_limits_in_a_row += 1
                self._resume = max(self._resume, self._timing.now() + wait_s)
                return
            self._failed_in_a_row += 1
            self._given_up |= failed.reason == "misconfigured"
            self._given_up |= self._failed_in_a_row >= _MOST_FAILURES_IN_A_ROW
