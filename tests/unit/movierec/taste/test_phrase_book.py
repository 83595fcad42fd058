"""What a text is read for: the catalog's titles, people, genres, keywords and words."""

import numpy as np
import pytest

from movierec.model.texts import MovieText
from movierec.taste.phrase_book import KINDS, MOST_MENTIONS, Catalog

OVERVIEW = "It goes up and up, a drama of sailors."
MOVIES = (
    MovieText("It", genres=("Horror",), year="1990"),
    MovieText("Up", genres=("Animation", "Family")),
    MovieText("Drama", genres=("Drama",)),
    MovieText("The Matrix (1999)", genres=("Science Fiction", "Action"), people=("Keanu Reeves",)),
    MovieText("Matrix, The (2031)", genres=("Drama",)),
    MovieText("Star Wars: Episode IV - A New Hope", genres=("Science Fiction", "Action")),
    MovieText("Amélie", genres=("Romance", "Comedy"), keywords=("time travel",), year="2001"),
    MovieText("Schindler's List", genres=("War",), year="1993"),
    MovieText("七人の侍", genres=("Foreign", "Action")),
    MovieText("Kongens Nei", genres=("War", "Drama"), people=("Ærlig Øverås",)),
    *(MovieText(f"Filler {i}", genres=("Comedy", "War"), overview=OVERVIEW) for i in range(9)),
)
CATALOG = Catalog.of(MOVIES)


def read(text, kind=None):
    """Return what was found: pieces of the text and the movies that they stand for."""
    found = CATALOG.book.read(text)
    kept = [one for one in found if kind in {None, KINDS[CATALOG.book.kinds[one.phrase]]}]
    return {one.text: list(CATALOG.movies[one.phrase]) for one in kept}


@pytest.mark.parametrize(
    ("text", "movies"),
    [
        ("I loved THE MATRIX!", [3, 4]),
        ("matrix", [3, 4]),
        ("the Matrix (1999), of course", [3]),
        ("Matrix 2031", [4]),
        ("anything like star wars", [5]),
        ("amelie", [6]),
        ("Ame\u0301lie", [6]),
        ("schindlers list", [7]),
        ("Schindler\u2019s List", [7]),
        ("七人の侍が好き", [8]),
        ("kongens  nei...", [9]),
    ],
)
def test_titles_are_found_as_people_write_them(text, movies):
    assert list(read(text, "title").values()) == [movies]


@pytest.mark.parametrize("text", ["it is up to you", "I like it", "up up up", "what a drama"])
def test_a_title_of_one_common_word_is_not_in_every_text(text):
    assert read(text, "title") == {}


@pytest.mark.parametrize(("text", "movies"), [('"It"', [0]), ("«Up»", [1]), ("'Drama' is", [2])])
def test_in_quotation_marks_it_is(text, movies):
    assert list(read(text, "title").values()) == [movies]


@pytest.mark.parametrize(
    ("text", "member"),
    [("sci-fi", 3), ("Love stories", 6), ("scary", 0), ("westerns, cartoons", 1), ("comedies", 6)],
)
def test_genres_are_found_by_what_people_call_them(text, member):
    (movies,) = read(text, "genre").values()
    assert member in movies


def test_people_keywords_and_decades_are_found():
    assert read("with KEANU REEVES", "person") == {"keanu reeves": [3]}
    assert read("time travel", "keyword") == {"time travel": [6]}
    assert read("90s movies", "keyword") == {"90s": [0, 3, 7]}
    assert read("of the 1990s", "keyword") == {"1990s": [0, 3, 7]}
    assert read("ærlig øverås", "person") == {"ærlig øveras": [9]}


def test_a_longer_phrase_takes_its_words():
    found = read("Star Wars: Episode IV - A New Hope")
    assert [len(movies) for movies in found.values()] == [1]


def test_two_genres_that_movies_share_are_a_phrase_too():
    assert read("war, comedies", "pair of genres") == {"war, comedies": list(range(10, 19))}
    assert read("horror and war", "pair of genres") == {}


def test_only_so_many_phrases_of_a_text_count():
    text = " ".join(f"Filler {i % 9} Matrix Amélie war sailors" for i in range(2000))
    assert len(CATALOG.book.read(text)) <= MOST_MENTIONS + 6


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\x00\x01\x1b[31m",
        "\ud800",
        "ﷺ" * 3000,
        "a\u0301" * 10_000,
        "\u202e" * 99,
    ],
)
def test_any_text_is_read(text):
    CATALOG.book.read(text)


def test_an_empty_catalog_has_no_phrases():
    assert Catalog.of(()).book.read("anything, like The Matrix") == []
    assert Catalog.of([MovieText()] * 3).book.read("anything") == []


def test_of_too_many_phrases_those_of_liked_movies_stay_and_genres():
    likes = np.zeros(len(MOVIES), int)
    likes[[3, 6]] = 100
    few = Catalog.of(MOVIES, beside=["submarine"]).strongest(likes, 20)
    assert len(few.movies) == len(few.book.kinds) == 20
    found = [one.text for one in few.book.read("Amelie, time travel, kongens nei, submarines, war")]
    assert found == ["amelie", "time travel", "submarines", "war"]
    war_comedy = few.book.read("war comedy")[-1]
    assert few.movies[war_comedy.phrase] == list(range(10, 19))
    assert CATALOG.strongest(likes, 10_000) is CATALOG
