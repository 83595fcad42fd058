import re

import numpy as np
import pytest

from simulator.film_titles import Title, from_movielens, generate, movie_id, unique_ids


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        (Title("Snowpiercer", 2013), "snowpiercer+2013"),
        (Title("20,000 Leagues Under the Sea", 1997), "20_000+leagues+under+the+sea+1997"),
        (Title("Batman & Mr. Freeze: SubZero", 1998), "batman++mr.+freeze+subzero+1998"),
        (Title("61*", 2001), "61*+2001"),
        (Title("Endeavour", 0), "endeavour+"),
        (Title("You Don't Know Jack", 2010), "you+dont+know+jack+2010"),
        (Title("Boccaccio '70", 1962), "boccaccio+'70+1962"),
        (Title("J.J. Cale - To Tulsa and Back", 2006), "j.j.+cale+-+to+tulsa+and+back+2006"),
        (Title("Amélie", 2001), "amlie+2001"),
        (Title("One, Two, Three", 1961), "one_+two_+three+1961"),
    ],
)
def test_an_id_is_made_as_the_site_makes_it(title, expected):
    assert movie_id(title) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Toy Story (1995)", Title("Toy Story", 1995)),
        ("American President, The (1995)", Title("The American President", 1995)),
        (
            "City of Lost Children, The (Cité des enfants perdus, La) (1995)",
            Title("The City of Lost Children", 1995),
        ),
        ("Babylon 5", Title("Babylon 5", 0)),
        ("unknown", Title("unknown", 0)),
    ],
)
def test_movielens_titles_become_what_people_say(text, expected):
    assert from_movielens(text) == expected


def test_films_of_one_name_and_year_get_ids_of_their_own():
    same = [Title("Emma", 1996)] * 3
    assert unique_ids(same) == ["emma+1996", "emma+2+1996", "emma+3+1996"]


def test_generated_titles_make_as_many_ids_some_of_them_odd():
    titles = generate([2000] * 4000 + [0] * 100, np.random.default_rng(5))
    ids = [movie_id(title) for title in titles]
    assert len(set(ids)) == 4100
    odd = [name for name in ids if not re.fullmatch(r"[a-z0-9+]+", name)]
    assert 0.02 < len(odd) / len(ids) < 0.1
    assert all(re.fullmatch(r"[a-z0-9+.*'_-]+", name) for name in ids)
    assert all(name.endswith("+") for name in ids[4000:])
    assert {"-", ".", "*", "'", "_"} <= set("".join(ids))
