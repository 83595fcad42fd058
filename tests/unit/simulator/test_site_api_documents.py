import json
import re
from datetime import UTC, datetime

import numpy as np
import pytest

from movierec.lake import catalog
from simulator import site_api_documents
from simulator.growing_site import Site
from simulator.site_records import RecordOptions, SiteRecords

KEYS = [
    "id", "tmdb_id", "imdb_id", "title", "original_title", "adult", "belongs_to_collection",
    "budget", "genres", "homepage", "original_language", "overview", "popularity", "poster_path",
    "production_companies", "production_countries", "release_date", "revenue", "runtime",
    "spoken_languages", "status", "tagline", "vote_average", "vote_count",
]  # fmt: skip
NOW = datetime(2026, 11, 20, tzinfo=UTC)


def records(world):
    return SiteRecords(Site(world), RecordOptions())


@pytest.fixture(scope="module")
def movies(small_world):
    return [json.loads(line) for line in records(small_world).movie_lines()]


def test_a_user_has_exactly_the_courses_four_keys(small_world):
    found = site_api_documents.user(small_world, 6)
    assert list(found) == ["user_id", "age", "occupation", "gender"]
    assert found["user_id"] == 7
    assert isinstance(found["age"], int)
    assert found["gender"] in ("M", "F")


def test_a_movie_has_the_courses_24_keys_or_the_23_of_2022(small_world, movies):
    assert all(sorted(movie) == sorted(KEYS) for movie in movies)
    assert set(KEYS) - set(site_api_documents.movie(small_world, 0, tagline=False)) == {"tagline"}


def test_the_types_are_the_courses(movies):
    types = {"tmdb_id": int, "runtime": int, "belongs_to_collection": dict, "genres": list,
             "production_companies": list, "production_countries": list,
             "spoken_languages": list}  # fmt: skip
    for movie in movies:
        assert all(isinstance(movie[key], types.get(key, str)) for key in KEYS)


def test_values_are_as_varied_as_the_courses(movies):
    assert {movie["adult"] for movie in movies} == {"True", "False"}
    assert any(movie["belongs_to_collection"] for movie in movies)
    assert not all(movie["belongs_to_collection"] for movie in movies)
    dates = {movie["release_date"] for movie in movies}
    assert "null" in dates
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d|null", day) for day in dates)


def test_an_id_ends_in_the_year_of_release(movies):
    for movie in movies:
        year = movie["release_date"].partition("-")[0]
        assert movie["id"].endswith("+" if year == "null" else f"+{year}")


def test_the_same_film_is_always_described_the_same(small_world):
    assert site_api_documents.movie(small_world, 3) == site_api_documents.movie(small_world, 3)


def test_the_product_takes_every_line_of_both_exports(small_world):
    movies = catalog.parse_movies(records(small_world).movie_lines(), NOW)
    users = catalog.parse_users(records(small_world).user_lines(), NOW)
    assert (len(movies), dict(movies.rejected)) == (800, {})
    assert (len(users), dict(users.rejected)) == (300, {})
    assert movies.columns["movie_id"] == small_world.films.ids
    films = small_world.films
    assert np.array_equal(movies.columns["runtime_minutes"], films.runtime_minutes)
    assert np.array_equal(movies.columns["adult"], films.adult)
