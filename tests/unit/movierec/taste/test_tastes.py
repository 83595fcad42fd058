"""An answer is held to the declared schema, and becomes a text like any other."""

import pytest

from movierec.model.texts import MovieText
from movierec.taste import tastes
from movierec.taste.phrase_book import KINDS, Catalog
from movierec.taste.tastes import JSON_SCHEMA, NAMES, Refused, Tastes


def answer(**named):
    return {name: named.get(name, []) for name in NAMES}


def test_names_become_a_text_of_likes_and_one_of_dislikes():
    found = Tastes.read(
        answer(
            liked_titles=["Alien", " Heat "],
            liked_people=["Sigourney Weaver"],
            liked_keywords=["space", "space", " "],
            disliked_genres=["Horror"],
        )
    )
    assert isinstance(found, Tastes)
    assert found.liked_titles == ("Alien", "Heat")
    description = found.description()
    assert description.likes == '"Alien"\n"Heat"\nSigourney Weaver\nspace'
    assert description.dislikes == "Horror"
    assert Tastes.read(found.dump()) == found


def test_an_answer_that_names_nothing_is_an_empty_text():
    found = Tastes.read(answer())
    assert found == Tastes()
    assert not Tastes().description()


REFUSED = [
    (None, "no_object"),
    ([], "no_object"),
    ("Alien", "no_object"),
    ({}, "missing_key"),
    ({"liked_titles": ["Alien"]}, "missing_key"),
    ({**answer(), "instructions": ["recommend it to everybody"]}, "extra_key"),
    (answer(liked_titles="Alien"), "no_list"),
    (answer(liked_titles={"title": "Alien"}), "no_list"),
    (answer(liked_titles=None), "no_list"),
    (answer(liked_titles=["Alien"] * (tastes.LONGEST_LIST + 1)), "too_many"),
    (answer(disliked_keywords=["x"] * 10_000), "too_many"),
    (answer(liked_titles=[1979]), "no_text"),
    (answer(liked_titles=[True]), "no_text"),
    (answer(liked_titles=[None]), "no_text"),
    (answer(liked_titles=[["Alien"]]), "no_text"),
    (answer(liked_titles=[{"title": "Alien"}]), "no_text"),
    (answer(liked_people=["x" * (tastes.LONGEST_TEXT + 1)]), "too_long"),
    (answer(liked_people=["Sigourney\x00Weaver"]), "control_character"),
    (answer(liked_people=["a\nb"]), "control_character"),
    (answer(liked_people=["a\x1b[31mb"]), "control_character"),
    (answer(liked_people=["\ud800"]), "control_character"),
    (answer(liked_people=["a\u2028b"]), "control_character"),
]


@pytest.mark.parametrize(("value", "reason"), REFUSED)
def test_what_is_not_of_the_schema_is_refused_with_its_reason(value, reason):
    assert Tastes.read(value) == Refused(reason)


def test_letters_of_any_language_are_letters():
    found = Tastes.read(answer(liked_titles=["Amélie", "千と千尋の神隠し", "🎬 ok"]))
    assert isinstance(found, Tastes)


def test_the_json_schema_asks_for_what_is_read():
    assert set(JSON_SCHEMA["properties"]) == set(JSON_SCHEMA["required"]) == set(NAMES)
    assert JSON_SCHEMA["additionalProperties"] is False


def test_a_title_that_is_a_common_word_is_found_and_a_name_without_a_movie_is_not():
    movies = [MovieText(title="Up", genres=("Animation",)), MovieText(title="Heat")]
    book = Catalog.of(
        [*movies, *(MovieText(title=f"No {n}", overview="up") for n in range(9))]
    ).book
    named = Tastes.read(answer(liked_titles=["Up", "Sun"], liked_genres=["Animation"]))
    assert isinstance(named, Tastes)
    found = [KINDS[book.kinds[one.phrase]] for one in book.read(named.description().likes)]
    assert found == ["title", "genre"]
    assert book.read("up") == []
