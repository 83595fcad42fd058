"""What users wrote, as the refresh takes it: as it stands, or as a language model has read it.

No list waits for a language model. A run takes the answers that are stored, and the plain text for
everyone else; when its lists are published it asks for the texts that had no answer, and makes the
lists of those who got one anew. Whoever is still left waits, and is asked for in later runs.
"""

import functools
import random
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from functions.refresh.asking import Asked, Round, Timing
from functions.refresh.chat_client import ChatClient, Post
from movierec import metrics, settings
from movierec.aws.secrets_manager import secret
from movierec.errors import MovierecError
from movierec.metrics import Metric
from movierec.model.texts import Description
from movierec.ports import Clock, ObjectStore
from movierec.taste import stored_answers
from movierec.taste.language_model import LanguageModel, digest
from movierec.taste.spending import Ledger
from movierec.taste.stored_answers import Outcome
from movierec.taste.tastes import Tastes

# Of texts that waited before, in a run: to read a stored answer costs some milliseconds.
MOST_READ_AGAIN: Final = 2000
# More than a run has time for, at a second a request.
MOST_ASKED: Final = 200

# Stored answers are read before any list is made: a new model's first run has all users to read.
_LONGEST_LOOK_UP_S: Final = 5.0

_READERS: Final = 16


@dataclass(frozen=True, slots=True)
class Understood:
    """Descriptions by user, and the users whose text no answer has been found for yet."""

    descriptions: Mapping[int, Description]
    waiting: frozenset[int] = frozenset()


@dataclass(slots=True)
class Reader:
    """A language model's answers, in one run of the refresh."""

    model: LanguageModel
    store: ObjectStore
    clock: Clock
    post: Post
    timing: Timing
    rng: random.Random
    logger: Logger
    _known: dict[str, Outcome] = field(default_factory=dict)
    _absent: set[str] = field(default_factory=set)
    _digests: dict[int, str] = field(default_factory=dict)
    _wanted: dict[str, Description] = field(default_factory=dict)
    _hits: int = 0
    _has_asked: bool = False
    _asked: Asked = field(default_factory=Asked)

    @classmethod
    def from_env(
        cls, env: Mapping[str, str], store: ObjectStore, clock: Clock, logger: Logger
    ) -> "Callable[[], Reader] | None":
        """Return what makes a run's reader, None where no language model is set.

        Raises ConfigError.
        """
        model = LanguageModel.from_env(env)
        if model is None:
            return None
        timing = Timing(time.monotonic, time.sleep)

        def of_a_run() -> Reader:
            # A key that was changed is found by the next run.
            post = ChatClient(model.url, functools.cache(lambda: _api_key(env)))
            return cls(model, store, clock, post, timing, random.Random(), logger)  # noqa: S311

        return of_a_run

    def some_of(self, waiting: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return those of the users who wait for whom this run may have an answer, ascending.

        Before it asks, as many as it has time for; then those who have got one.
        """
        if self._has_asked:
            answered = {user for user, key in self._digests.items() if key in self._known}
            return waiting[np.isin(waiting, list(answered))]
        if len(waiting) <= MOST_READ_AGAIN:
            return waiting
        return np.sort(np.array(self.rng.sample(waiting.tolist(), MOST_READ_AGAIN), np.int64))

    def understood(self, descriptions: Mapping[int, Description]) -> Understood:
        """Return each description as the language model has read it, or as it is."""
        digests = {user: digest(self.model.name, one) for user, one in descriptions.items() if one}
        self._digests |= digests
        self._look_up(set(digests.values()))
        found = dict(descriptions)
        waiting = set()
        for user, key in digests.items():
            outcome = self._known.get(key)
            if outcome is None:
                waiting.add(user)
                self._wanted[key] = descriptions[user]
            elif isinstance(outcome, Tastes) and (named := outcome.description()):
                found[user] = named
        return Understood(found, frozenset(waiting))

    def ask(self) -> bool:
        """Ask for the texts that had no answer; return whether there is any now."""
        self._has_asked = True
        wanted = {d: text for d, text in self._wanted.items() if d not in self._known}
        chosen = self.rng.sample(sorted(wanted), min(len(wanted), MOST_ASKED))
        self._look_up(chosen)
        unknown = {key: wanted[key] for key in chosen if key not in self._known}
        try:
            if unknown:
                self._ask(unknown)
        except MovierecError:
            # The lists are published: what is lost is a better reading of some texts.
            self.logger.exception("language_model_failed")
        self._known |= self._asked.answered
        return any(key in self._known for key in chosen)

    def emit(self, to: Metrics, *, namespace: str, service: str) -> None:
        """Emit the run's metrics, and log them."""
        asked, spent = self._asked, self._asked.spent
        values: dict[Metric, float] = {
            metrics.LANGUAGE_MODEL_CALLS: spent.calls,
            metrics.LANGUAGE_MODEL_PROMPT_TOKENS: spent.prompt_tokens,
            metrics.LANGUAGE_MODEL_COMPLETION_TOKENS: spent.completion_tokens,
            metrics.LANGUAGE_MODEL_DOLLARS: spent.usd,
            metrics.LANGUAGE_MODEL_CACHE_HITS: self._hits,
            metrics.LANGUAGE_MODEL_WAITING: len(self._wanted.keys() - self._known.keys()),
            metrics.LANGUAGE_MODEL_FAILURES: asked.failures.total(),
        }
        for metric, value in values.items():
            to.add_metric(metric.name, metric.unit, value)
        for reason, count in asked.failures.items():
            name = metrics.LANGUAGE_MODEL_FAILURES.name
            of = {"service": service} | metrics.failure_dimensions(reason)
            with single_metric(
                name, MetricUnit.Count, count, namespace=namespace, default_dimensions=of
            ):
                pass
        facts = {metric.name: value for metric, value in values.items() if value}
        if facts:
            self.logger.info(
                "language_model_asked", extra=facts | {"failures": dict(asked.failures)}
            )

    def _look_up(self, digests: Iterable[str]) -> None:
        """Read the answers that are stored, as far as there is time."""
        unknown = [one for one in digests if one not in self._known and one not in self._absent]
        until = self.timing.now() + _LONGEST_LOOK_UP_S
        with ThreadPoolExecutor(_READERS, "tastes") as pool:
            for found in pool.map(lambda key: self._stored(key, until), unknown):
                self._known |= found
                self._hits += len(found)

    def _stored(self, key: str, until: float) -> dict[str, Outcome]:
        if self.timing.now() >= until:
            return {}
        try:
            outcome = stored_answers.load(self.store, key)
        except MovierecError:
            return {}
        if outcome is None:
            self._absent.add(key)
            return {}
        return {key: outcome}

    def _ask(self, wanted: Mapping[str, Description]) -> None:
        costs = [self.model.most_usd(self.model.request(one)) for one in wanted.values()]
        ledger = Ledger(self.store, self.clock.now())
        reserved = ledger.reserve(self.model.budget_usd, least_usd=min(costs), most_usd=sum(costs))
        if reserved is None:
            self._asked.failures["budget_spent"] += len(wanted)
            return
        keep = functools.partial(stored_answers.save, self.store)
        asking = Round(self.model, self.post, self.timing, reserved_usd=reserved, keep=keep)
        self._asked = asking.asked
        try:
            asking.run(wanted)
        finally:
            ledger.settle(reserved, asking.asked.spent)


def _api_key(env: Mapping[str, str]) -> str:
    """Return the key, empty for none. Raises MovierecError."""
    arn = env.get(settings.LANGUAGE_MODEL_API_KEY_SECRET, "")
    return secret(arn) if arn else env.get(settings.LANGUAGE_MODEL_API_KEY, "")
