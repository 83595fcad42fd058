"""The answer of each route, given a model.

An answer is a value; this module does no I/O and has no clock or logs.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from chalicelib.overlay_watch import NONE, Numbered

from movierec.api_contract import JSON, RECOMMEND_PATH, TEXT
from movierec.errors import ArtifactError, MovierecError, UsageError
from movierec.model.ranking import Ranked, Recommender, Source
from movierec.model.user_id import parse_user_id

_LIBRARIES: Final = ("aws_lambda_powertools", "boto3", "botocore", "chalice", "numpy")


@dataclass(frozen=True, slots=True)
class OpenModel:
    """An opened model, its version, and what came since: `overlay` gives the newest there is."""

    version: str
    recommender: Recommender
    overlay: Callable[[], Numbered] = field(default=lambda: NONE)


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a body of one line, and the facts for metrics and headers.

    `user_id` and `source` are None where the route knows none; `detail` is what else a record of
    the recommendation needs.
    """

    status: int
    body: str
    content_type: str = TEXT
    user_id: int | None = None
    source: Source | None = None
    model_version: str | None = None
    detail: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """The routes' answers.

    `open_model` is called at each request; it opens a model once and caches it. It raises
    MovierecError while there is none. `function_version` is the Lambda's own, `code_version` a
    git commit.
    """

    open_model: Callable[[], OpenModel]
    function_version: str
    code_version: str
    modules: Mapping[str, object] = field(default_factory=lambda: sys.modules)

    def recommend(self, user_id: str) -> Answer:
        """Return movies for a user. Raises UsageError if `user_id` is no positive integer."""
        user = parse_user_id(user_id)
        if user is None:
            raise UsageError(f"user id: expected a positive integer, as in {RECOMMEND_PATH}12345")
        model = self.open_model()
        newest = model.overlay()
        ranked = model.recommender.recommend(user, overlay=newest.overlay)
        return _listed(model, ranked, user, newest.number)

    def popular(self) -> Answer:
        """Return popular movies without adult ones, fit for minors."""
        model = self.open_model()
        newest = model.overlay()
        ranked = model.recommender.popular(overlay=newest.overlay)
        return _listed(model, ranked, None, newest.number)

    def version(self) -> Answer:
        """Return the versions of function, model, code, Python and libraries.

        Without a model it has the error and all the rest, to diagnose an API that does not work.
        """
        try:
            model_version, model_error = self.open_model().version, None
        except MovierecError as exc:
            model_version, model_error = None, str(exc)
        facts = {
            "function_version": self.function_version,
            "model_version": model_version,
            "model_error": model_error,
            "code_version": self.code_version,
            "python": ".".join(map(str, sys.version_info[:3])),
            "libraries": _library_versions(self.modules),
        }
        return Answer(200, json.dumps(facts), content_type=JSON, model_version=model_version)

    def health(self) -> Answer:
        """Return `ok` once a model is available."""
        return Answer(200, "ok", model_version=self.open_model().version)


def _listed(model: OpenModel, ranked: Ranked, user_id: int | None, refresh: int) -> Answer:
    """Return a list as an answer. Raises ArtifactError for an empty list."""
    if not ranked.movie_ids:
        raise ArtifactError(
            f"model {model.version} holds no movie that may be shown here: see its report.json, "
            "load the movies' metadata and train anew"
        )
    return Answer(
        200,
        ",".join(ranked.movie_ids),
        user_id=user_id,
        source=ranked.source,
        model_version=model.version,
        detail=None if user_id is None else _detail(ranked, refresh, model.recommender),
    )


def _detail(ranked: Ranked, refresh: int, recommender: Recommender) -> Mapping[str, object]:
    facts: dict[str, object] = {"known_user": ranked.known_user}
    cost_usd = recommender.cost_of(ranked.movie_ids)
    if cost_usd is not None:
        facts["cost_usd"] = round(cost_usd, 4)
    if refresh:
        facts["refresh"] = refresh
    if ranked.reason is not None:
        facts["reason"] = ranked.reason
    if ranked.new:
        facts["new"] = ranked.new
    if ranked.popular_group is not None:
        facts["popular_group"] = ranked.popular_group
    return facts


def _library_versions(modules: Mapping[str, object]) -> dict[str, str]:
    """Return the versions of the libraries that are loaded.

    The deployment package has no distribution metadata, which changes at every build.
    """
    found = {name: getattr(modules.get(name), "__version__", None) for name in _LIBRARIES}
    return {name: str(version) for name, version in found.items() if version is not None}
