"""Answer Chalice's requests, and map errors to status codes.

Clients get an error as one line; its traceback goes to the log.
"""

import functools
import math
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aws_lambda_powertools import Logger
from chalice.app import Chalice, Response
from chalicelib import model_cache
from chalicelib.overlay_watch import OverlayWatch, in_thread
from chalicelib.service import Answer, OpenModel, Service
from chalicelib.telemetry import Request, Telemetry

from movierec import api_contract, metrics, settings
from movierec.aws.s3_store import S3Store
from movierec.errors import ConfigError, MovierecError, UsageError
from movierec.model import artifact
from movierec.model.ranking import Recommender
from movierec.ports import ObjectStore

View = Callable[[Service], Answer]

# The site's deadline is 600 to 800 ms and the proxy's 400: an answer slower than this is close to
# becoming a fallback there.
DEFAULT_SLOW_MS = 300.0

INTERNAL_ERROR = f"internal error: see the function's log for this {api_contract.RECOMMENDATION_ID}"


@dataclass(frozen=True, slots=True)
class Responder:
    """Answers requests with `service`, measured by `telemetry`; `clock_s` is monotonic seconds."""

    service: Service
    telemetry: Telemetry
    clock_s: Callable[[], float] = field(default=time.perf_counter)

    def respond(self, request: Request, view: View) -> Response:
        """Return the response to one request. Never raises."""
        started_s = self.clock_s()
        self.telemetry.begin(request)
        answer = self._answer(view)
        headers = self._headers(request, answer)
        self.telemetry.end(request, answer, (self.clock_s() - started_s) * 1000)
        return Response(answer.body, headers, answer.status)

    def _answer(self, view: View) -> Answer:
        try:
            return view(self.service)
        except UsageError as exc:
            return Answer(400, _one_line(exc))
        except MovierecError as exc:
            self.telemetry.logger.exception("unavailable")
            return Answer(503, _one_line(exc))
        except Exception:
            self.telemetry.logger.exception("failed")
            return Answer(500, INTERNAL_ERROR)

    def _headers(self, request: Request, answer: Answer) -> dict[str, str | list[str]]:
        facts = {
            api_contract.CONTENT_TYPE: answer.content_type,
            api_contract.FUNCTION_VERSION: self.service.function_version,
            api_contract.MODEL_VERSION: answer.model_version,
            api_contract.RECOMMENDATION_ID: request.recommendation_id,
            api_contract.RECOMMENDATION_SOURCE: answer.source,
            api_contract.RECOMMENDATION_DETAIL: self._detail(answer),
        }
        return {name: value for name, value in facts.items() if value is not None}

    def _detail(self, answer: Answer) -> str | None:
        """Return the detail as JSON; one that cannot be sent is logged, and the answer goes on."""
        if answer.detail is None:
            return None
        try:
            return api_contract.dump_detail({"cold_start": self.telemetry.cold, **answer.detail})
        except (TypeError, ValueError):
            self.telemetry.logger.exception("detail_dropped")
            return None


def respond(app: Chalice, view: View) -> Response:
    """Return the response to Chalice's current request."""
    return responder().respond(_request(app), view)


@functools.cache
def responder() -> Responder:
    """Return this execution environment's responder, created at the first request."""
    return from_env(os.environ)


def from_env(env: Mapping[str, str]) -> Responder:
    """Wire the responder to the environment; each request reports an invalid setting.

    Never raises: here an error would become Chalice's own 500, which no metric counts.
    """
    function_version = env.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
    open_model: Callable[[], OpenModel] = functools.cache(functools.partial(_open_model, env))
    try:
        slow_ms = _slow_ms(env)
    except ConfigError as exc:
        slow_ms, open_model = DEFAULT_SLOW_MS, functools.partial(_refuse, exc)
    telemetry = Telemetry(
        function_version=function_version,
        slow_ms=slow_ms,
        logger=Logger(service=metrics.API_SERVICE),
    )
    service = Service(
        open_model=open_model,
        function_version=function_version,
        code_version=env.get(settings.CODE_VERSION, "unknown"),
    )
    return Responder(service, telemetry)


def _slow_ms(env: Mapping[str, str]) -> float:
    text = env.get(settings.SLOW_MS) or str(DEFAULT_SLOW_MS)
    expected = ConfigError(f"{settings.SLOW_MS}={text}: expected milliseconds, as in 300")
    try:
        slow_ms = float(text)
    except ValueError as exc:
        raise expected from exc
    if not 0 < slow_ms < math.inf:
        raise expected
    return slow_ms


def _refuse(why: ConfigError) -> OpenModel:
    raise ConfigError(str(why))


def open_model(store: ObjectStore, pinned: str | None, folder: Path) -> OpenModel:
    """Fetch and open the pinned model, by default the newest. Raises MovierecError."""
    version = pinned or artifact.newest(store)
    recommender = Recommender.open(model_cache.fetch(store, version, folder))
    n_movies = len(recommender.movie_ids)
    watch = OverlayWatch(store, version, n_movies, clock_s=time.monotonic, start=in_thread)
    watch.begin()
    return OpenModel(version, recommender, watch.newest)


def _open_model(env: Mapping[str, str]) -> OpenModel:
    store = S3Store.from_env(env, settings.ARTIFACTS_BUCKET)
    folder = Path(tempfile.gettempdir()) / "movierec-models"
    return open_model(store, env.get(settings.MODEL_VERSION), folder)


def _request(app: Chalice) -> Request:
    context = app.current_request.context if app.current_request is not None else {}
    return Request(
        recommendation_id=app.lambda_context.aws_request_id,
        correlation_id=context.get("requestId", ""),
        route=context.get("resourcePath", ""),
    )


def _one_line(exc: Exception) -> str:
    return " ".join(str(exc).split())
