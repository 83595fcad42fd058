"""What each route answers, given a model."""

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from chalicelib.overlay_watch import Numbered
from chalicelib.service import Answer, OpenModel, Service

from movierec.errors import ArtifactError, ObjectNotFoundError, UsageError
from movierec.model.overlay import REASONS, Overlay
from movierec.model.ranking import LIST_LENGTH, Recommender

MOVIES = [f"movie+{i}+1999" for i in range(60)]


def model() -> OpenModel:
    """Return a model that knows user 7: movies 59, 58, ... in this order."""
    recommender = Recommender(
        manifest={},
        movie_ids=MOVIES,
        groups=["unknown", "F:18-24"],
        popular_by_group=[tuple(MOVIES[:30]), tuple(MOVIES[10:40])],
        kids=tuple(MOVIES[:25]),
        user_ids=np.array([7], np.int64),
        user_groups=np.array([0, 0, 0, 1], np.uint8),
        topk=np.arange(59, 9, -1, dtype=np.uint16)[np.newaxis],
    )
    return OpenModel("20261120T101500Z-abc-def", recommender)


def no_model() -> OpenModel:
    raise ObjectNotFoundError("no model under models/ yet: train one")


def service(open_model: Callable[[], OpenModel] = model) -> Service:
    modules = {"numpy": SimpleNamespace(__version__="9.9"), "boto3": SimpleNamespace()}
    return Service(open_model, function_version="12", code_version="abc", modules=modules)


def test_a_known_user_gets_the_models_twenty_best_first() -> None:
    answer = service().recommend("7")

    assert answer.body.split(",") == MOVIES[59:39:-1]
    assert (answer.status, answer.source, answer.user_id) == (200, "model", 7)
    assert answer.content_type == "text/plain; charset=utf-8"


def test_an_unknown_user_gets_the_popular_list_of_their_group() -> None:
    answer = service().recommend("3")

    assert answer.body.split(",") == MOVIES[10:30]
    assert answer.source == "popular"


def test_popular_is_the_list_for_children() -> None:
    answer = service().popular()

    assert answer.body.split(",") == MOVIES[:LIST_LENGTH]
    assert (answer.source, answer.user_id) == ("popular", None)


@pytest.mark.parametrize("view", [lambda s: s.recommend("7"), Service.popular])
def test_a_list_is_one_line_that_names_its_model(view: Callable[[Service], Answer]) -> None:
    answer = view(service())

    assert "\n" not in answer.body
    assert " " not in answer.body
    assert answer.model_version == "20261120T101500Z-abc-def"


BAD_IDS = ["", "0", "-1", "+1", "007", "1.0", "1e3", "abc", " 7", "7 ", "7\n", "\u0667", "0x7"]


@pytest.mark.parametrize("text", [*BAD_IDS, "99999999999999999999", str(2**63), "%37"])
def test_what_is_no_positive_integer_is_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(UsageError, match="expected a positive integer"):
        service().recommend(text)


def test_a_bad_id_is_refused_even_without_a_model() -> None:
    with pytest.raises(UsageError):
        service(no_model).recommend("abc")


def test_a_user_who_has_seen_everything_is_answered_all_the_same() -> None:
    seen_all = replace(model().recommender, topk=np.full((1, 50), 65535, np.uint16))
    answer = service(lambda: OpenModel("m1", seen_all)).recommend("7")

    assert answer.body.split(",") == MOVIES[:20]
    assert (answer.status, answer.source) == (200, "popular")


@pytest.mark.parametrize("view", [lambda s: s.recommend("3"), Service.popular])
def test_a_model_with_nothing_to_show_is_no_empty_answer(view: Callable[[Service], Answer]) -> None:
    empty = replace(model().recommender, popular_by_group=[], kids=())

    with pytest.raises(ArtifactError, match="no movie that may be shown"):
        view(service(lambda: OpenModel("m1", empty)))


def test_version_tells_what_answers() -> None:
    answer = service().version()

    facts = json.loads(answer.body)
    assert facts["function_version"] == "12"
    assert facts["model_version"] == "20261120T101500Z-abc-def"
    assert facts["code_version"] == "abc"
    assert facts["libraries"] == {"numpy": "9.9"}
    assert answer.content_type == "application/json"


def test_version_answers_without_a_model_and_says_why_there_is_none() -> None:
    facts = json.loads(service(no_model).version().body)

    assert facts["model_version"] is None
    assert "train one" in facts["model_error"]
    assert facts["function_version"] == "12"


def test_health_is_ok_only_with_a_model() -> None:
    assert service().health().body == "ok"
    with pytest.raises(ObjectNotFoundError):
        service(no_model).health()


@pytest.mark.parametrize(
    ("user_id", "detail"),
    [
        ("7", {"known_user": True}),
        ("3", {"known_user": False, "popular_group": "F:18-24"}),
        ("1", {"known_user": False, "popular_group": "unknown"}),
        ("999", {"known_user": False, "popular_group": "unknown"}),
    ],
)
def test_the_detail_tells_whether_the_user_is_known_and_whose_popular_list_it_is(
    user_id: str, detail: dict[str, object]
) -> None:
    assert service().recommend(user_id).detail == detail


def test_the_detail_of_a_user_who_has_seen_everything_tells_that_the_model_knows_them() -> None:
    seen_all = replace(model().recommender, topk=np.full((1, 50), 65535, np.uint16))
    answer = service(lambda: OpenModel("m1", seen_all)).recommend("7")

    assert answer.detail == {"known_user": True, "popular_group": "unknown"}


def test_the_list_without_adult_movies_is_told_from_a_groups() -> None:
    bare = replace(model().recommender, popular_by_group=[(), ()])

    answer = service(lambda: OpenModel("m1", bare)).recommend("3")

    assert answer.detail == {"known_user": False, "popular_group": "kids"}


def test_popular_has_no_detail() -> None:
    assert service().popular().detail is None


def test_the_detail_names_the_places_of_movies_that_came_after_the_model() -> None:
    topk = np.array([[60, 3, 61, 62, 4] + [65535] * 45], np.uint16)
    newest = Overlay(
        np.array([3], np.int64),
        topk,
        np.zeros(1, np.uint8),
        np.array([REASONS.index("description")], np.uint8),
        movie_ids=("new+1", "new+2", "gone"),
        withdrawn=frozenset({"gone"}),
    )
    opened = replace(model(), overlay=lambda: Numbered(5, newest))
    answer = service(lambda: opened).recommend("3")

    assert answer.body.split(",") == ["new+1", MOVIES[3], "new+2", MOVIES[4]]
    assert answer.detail == {
        "known_user": False,
        "refresh": 5,
        "reason": "description",
        "new": (0, 2),
    }
    assert "new" not in (service(lambda: opened).recommend("7").detail or {})


def priced() -> OpenModel:
    found = model()
    costs = {movie: float(i) for i, movie in enumerate(MOVIES)}
    return replace(found, recommender=replace(found.recommender, costs_usd=costs, median_usd=9.0))


@pytest.mark.parametrize(("user", "cost_usd"), [("7", 49.5), ("3", 19.5)])
def test_a_record_says_what_a_play_of_the_list_costs(user: str, cost_usd: float) -> None:
    detail = service(priced).recommend(user).detail

    assert detail is not None
    assert detail["cost_usd"] == cost_usd


def test_a_model_without_costs_says_none() -> None:
    assert "cost_usd" not in (service().recommend("7").detail or {})
